// Arc orders the drop of its value by a fence, which ThreadSanitizer does not see. With -Zbuild-std it would load the
// count instead. Here the subtraction itself acquires, which orders the same.

long __real___tsan_atomic64_fetch_sub(volatile long *count, long subtrahend, int order);

long __wrap___tsan_atomic64_fetch_sub(volatile long *count, long subtrahend, int order) {
    (void)order;
    return __real___tsan_atomic64_fetch_sub(count, subtrahend, __ATOMIC_ACQ_REL);
}
