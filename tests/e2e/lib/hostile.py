"""Names that nobody has."""

# As they stand in a request line. nginx answers some of them itself.
HOSTILE = [
    "", ".", "..", "%2e", "%2e%2e", "../..", "..%2f..", "%2f", "%2fetc%2fpasswd", "a%2fb", "a%5cb", "%00", "a%00b", "%0d%0a",
    "a%0d%0aX-Injected:%20yes", "%0aSet-Cookie:%20a=b", "%7f", "%80", "%ff%fe", "%c3%28", "%c0%ae%c0%ae", "%ed%a0%80",
    "%e2%80%a8", "%F0%9F%98%80", "%c3%a9", "%20", "a%20b", "a+b", "*", "?", "a;b", "a'b", "a%22b", "%3Cscript%3E", "%25", "%2500",
    "%", "%4", "%zz", "{}", "[]", "$(id)", "`id`", "|id", "%s%n", "A" * 250, "A" * 5000, "%41" * 250, "__consumer%2foffsets",
    "zookeeper", "consumers", "brokers", "-", "_", "0", "null"]
