/* What is in the memory of our programs stays there: messages, and secrets of Kafka. */
#ifndef KP_PRIVACY_H
#define KP_PRIVACY_H

/* No core file of this process and of those it starts, and no other process of its user
 * may look into it. Early in main(), and again after a change of user. */
void privacy_begin(void);

#endif
