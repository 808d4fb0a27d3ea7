import CLinux
import Glibc

/// A read-write lock: many readers of the environment, and now and then someone who replaces it.
/// `Mutex` would make readers wait for each other.
///
/// Unchecked: the pointer never changes, and pthread guards what it points to.
final class ReadWriteLock: @unchecked Sendable {
    private let raw = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)

    init() {
        let code = tg_rwlock_init(raw)
        precondition(code == 0, "a lock needs memory only")
    }
    deinit {
        pthread_rwlock_destroy(raw)
        raw.deallocate()
    }
    func lockShared() {
        let code = pthread_rwlock_rdlock(raw)
        precondition(code == 0, "a read transaction inside another one of the same thread")
    }
    func unlock() { pthread_rwlock_unlock(raw) }

    func shared<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        lockShared()
        defer { unlock() }
        return try body()
    }
    func exclusively<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        let code = pthread_rwlock_wrlock(raw)
        precondition(code == 0, "the environment replaced inside a transaction")
        defer { unlock() }
        return try body()
    }
}

/// A place where threads sleep until something they look at has changed.
///
/// Unchecked: the pointers never change, and pthread guards what they point to.
final class WaitingRoom: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        let code = tg_cond_init(changed)
        precondition(code == 0, "a condition variable needs memory only")
    }
    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }
    /// Sleeps until `condition` holds; it is looked at again after every `wakeAll()`.
    func wait(until condition: () -> Bool) {
        pthread_mutex_lock(mutex)
        while !condition() { pthread_cond_wait(changed, mutex) }
        pthread_mutex_unlock(mutex)
    }
    func wakeAll() {
        // Taking the mutex orders the change before the look of whoever is about to sleep.
        pthread_mutex_lock(mutex)
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }
}
