/*
 * Places where a build made for tests dies, or breaks a promise, on purpose.
 *
 * In an ordinary build all of it is nothing. With -DKP_FAULTS (make FAULTS=1)
 * the environment chooses:
 *
 *	KP_KILL_AT=P4:3		SIGKILL to itself at the third passage of the point P4
 *	KP_BREAK=early-answer	does wrong what the promise says, so that tests can be
 *				seen to notice it
 *	KP_RECOMMIT_MS=5000	a wait that is too long for a test is so long instead,
 *	KP_STALL_MS=1000	likewise
 *	KP_DOUBT_MS=3000	likewise
 *	KP_IDLE_MS=1000		likewise
 *	KP_GROUP_IDLE_MS=1000	likewise
 *	KP_STUCK_MS=3000	likewise
 *	KP_LOST_MS=3000		likewise
 *	KP_UNFIT_MS=1000	likewise
 *	KP_NAMES_MAX=3		a limit that is too high for a test is so low instead
 *	KP_WAVE_PAUSE_US=80000	stands still within every wave
 *
 * Any thread.
 */
#ifndef KP_FAULT_H
#define KP_FAULT_H

#include <stdbool.h>

/*
 *	P1 a request to produce was read	P7 handed to Kafka, no report yet
 *	P2 rows inserted, not committed		P8 reported, not deleted yet
 *	P4 committed, not answered		P9 deleted, not committed
 *	P5 half of an answer written		P12 the backlog of an earlier start is sent
 *	P6 kept, before Kafka gets it		P13 draining to stop
 *	P14 the schema is being changed
 *	C1 a message was fetched		C4 a commit was sent
 *	C2 offered				C5 committed, the claim not yet deleted
 *	C3 confirmed				C6 a partition was claimed
 *	R1 (responder) the web server has the message, the helper does not know it
 *
 * What lies inside SQLite (before a sync, in a checkpoint) is killed by
 * tests/faults/shim.c.
 */
#ifdef KP_FAULTS
/* True when the point is the one chosen and this is its turn. */
bool fault_due(const char *point);
void fault_die(void) __attribute__((noreturn));
#define fault_point(point) do { if (fault_due(point)) fault_die(); } while (0)
bool fault_break(const char *promise);
/* The number in that variable, or the usual one. */
long fault_number(const char *variable, long usual);
/* Stands still for so many microseconds. */
void fault_pause(const char *variable);
#else
#define fault_due(point) false
#define fault_die() ((void)0)
#define fault_point(point) ((void)0)
#define fault_break(promise) false
#define fault_number(variable, usual) (usual)
#define fault_pause(variable) ((void)0)
#endif

#endif
