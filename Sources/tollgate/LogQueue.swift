import CLinux
import Events
import Glibc
import Logging
import Synchronization

/// Lines on their way to stderr.
///
/// Whoever logs never waits for who reads: a line is copied into a bounded queue, and a thread of its
/// own writes it. What does not fit is counted and left out, and so is what one place in the code
/// repeats; both counts are told in the log.
final class LogQueue: Sendable {
    /// What may wait for a reader that is slow, in bytes.
    static let pendingBytesMax = 256 << 10
    /// So many lines of one place in the code are written in each span; the rest is counted.
    static let repeatsMax = 10
    static let repeatSeconds = 10
    /// So many of the last warnings and errors are kept for the daemon's state.
    private static let problemsMax = 32

    private struct State {
        var pending: [UInt8] = []
        /// A batch is with the kernel.
        var isWriting = false
        var dropped: Int64 = 0
        var places: [Place: Repeats] = [:]
        var problems: [String] = []
    }
    private struct Place: Hashable {
        var file: String
        var line: UInt
    }
    private struct Repeats {
        var since: Int
        var written = 0
        var leftOut: Int64 = 0
    }

    private let state = Mutex(State())
    private let descriptor: Int32
    private let format: LineLog.Format
    /// Whether the journal of systemd reads: it takes a line's level from a prefix of three bytes.
    private let hasPrefix: Bool
    private let wakeDescriptor: Int32
    private let idleDescriptor: Int32

    init(to descriptor: Int32 = STDERR_FILENO, format: LineLog.Format) {
        self.descriptor = descriptor
        self.format = format
        hasPrefix = LogQueue.isJournal(descriptor)
        wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC))
        idleDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        precondition(wakeDescriptor >= 0 && idleDescriptor >= 0, "no descriptors at the very start")
        startWriter()
    }

    // MARK: Whoever logs

    /// Whether a message of this place is to be written: nil when there were enough of them lately,
    /// else how many have been left out since the last one.
    func admit(_ level: Logger.Level, site file: String, _ line: UInt) -> Int64? {
        guard level > .debug else { return 0 }
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return state.withLock { state in
            let place = Place(file: file, line: line)
            var repeats = state.places[place] ?? Repeats(since: time.tv_sec)
            defer { state.places[place] = repeats }
            if time.tv_sec - repeats.since >= LogQueue.repeatSeconds {
                repeats.since = time.tv_sec
                repeats.written = 0
            }
            guard repeats.written < LogQueue.repeatsMax else {
                repeats.leftOut += 1
                return nil
            }
            repeats.written += 1
            defer { repeats.leftOut = 0 }
            return repeats.leftOut
        }
    }
    /// Takes a line without its end. It does not wait, for whatever reason.
    func add(_ line: String, _ level: Logger.Level) {
        let isFirst = state.withLock { state in
            if level >= .warning {
                state.problems.append(line)
                if state.problems.count > LogQueue.problemsMax { state.problems.removeFirst() }
            }
            guard state.pending.count + line.utf8.count < LogQueue.pendingBytesMax else {
                state.dropped += 1
                return false
            }
            defer { append(line, level, &state) }
            return state.pending.isEmpty
        }
        if isFirst { signal(wakeDescriptor) }
    }
    /// The last warnings and errors, the oldest first.
    var problems: [String] { state.withLock { $0.problems } }

    /// Waits until everything is written, but not for ever: a reader may hang. Whether it was.
    @discardableResult
    func finish(milliseconds: Int = 2_000) -> Bool {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let deadline = time.tv_sec * 1_000 + time.tv_nsec / 1_000_000 + milliseconds
        while state.withLock({ !$0.pending.isEmpty || $0.isWriting }) {
            clock_gettime(CLOCK_MONOTONIC, &time)
            let rest = deadline - (time.tv_sec * 1_000 + time.tv_nsec / 1_000_000)
            guard rest > 0 else { return false }
            var entry = pollfd(fd: idleDescriptor, events: Int16(POLLIN), revents: 0)
            poll(&entry, 1, Int32(rest))
            var count: UInt64 = 0
            _ = read(idleDescriptor, &count, 8)
        }
        return true
    }

    // MARK: The writer

    private func startWriter() {
        // It inherits a mask of all signals: they are for those who wait for them.
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { raw in
                tg_name_thread("tg-log")
                Unmanaged<LogQueue>.fromOpaque(raw!).takeRetainedValue().write()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        pthread_sigmask(SIG_SETMASK, &before, nil)
        precondition(code == 0, "no thread at the very start")
        pthread_detach(thread)
    }
    /// Runs as long as the process.
    private func write() {
        var batch: [UInt8] = []
        while true {
            let isIdle = state.withLock { state in
                if state.dropped > 0, state.pending.count < LogQueue.pendingBytesMax / 2 {
                    let message = "dropped \(state.dropped) lines: nobody read them in time"
                    append(LineLog.line(format, .warning, message, []), .warning, &state)
                    state.dropped = 0
                }
                swap(&batch, &state.pending)
                state.isWriting = !batch.isEmpty
                return batch.isEmpty
            }
            if isIdle {
                signal(idleDescriptor)
                var count: UInt64 = 0
                _ = read(wakeDescriptor, &count, 8)
                continue
            }
            writeOut(batch)
            batch.removeAll(keepingCapacity: true)
        }
    }
    private func writeOut(_ batch: [UInt8]) {
        batch.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count {
                let n = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
                if n < 0, errno == EAGAIN {
                    // Somebody else has made it non-blocking; here there is nothing better to do.
                    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&entry, 1, -1)
                } else if n < 0, errno != EINTR {
                    return
                } else {
                    done += max(n, 0)
                }
            }
        }
    }
    private func append(_ line: String, _ level: Logger.Level, _ state: inout State) {
        if hasPrefix { state.pending += "<\(LogQueue.priority(level))>".utf8 }
        state.pending += line.utf8
        state.pending.append(0x0A)
    }
    private func signal(_ descriptor: Int32) {
        var one: UInt64 = 1
        _ = Glibc.write(descriptor, &one, 8)
    }

    // MARK: The journal of systemd

    /// JOURNAL_STREAM names the device and the inode of the stream that the journal reads.
    private static func isJournal(_ descriptor: Int32) -> Bool {
        var info = stat()
        guard let raw = getenv("JOURNAL_STREAM"), fstat(descriptor, &info) == 0 else {
            return false
        }
        return String(cString: raw) == "\(info.st_dev):\(info.st_ino)"
    }
    /// The levels of syslog(3).
    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
