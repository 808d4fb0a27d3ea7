import CLinux
import Events
import Glibc

/// One pipelined, non-blocking connection: bytes to send, bytes received, and which requests the
/// coming replies answer. The daemon answers in order, so a queue is all that it takes.
final class LoadConnection {
    enum Verb: UInt8 { case reserve, settle, release }
    /// A request that was sent and waits for its reply.
    struct Pending {
        var slot: Int32
        var verb: Verb
        /// When it was meant to be sent.
        var intended: Int64
    }

    let descriptor: Int32
    /// Keeps the connection open: it owns the descriptor.
    private let client: Client
    var output = ByteBuffer(capacity: 64 << 10)
    private var sent = 0
    private var input = ByteBuffer(capacity: 64 << 10)
    private var pending = LoadQueue()
    /// Whether the poller has been asked to tell when there is room to write.
    var awaitsRoom = false

    private static let readBytes = 64 << 10

    init(_ target: Target) throws(CommandFailure) {
        // Connecting and logging in block; only what follows must not.
        client = try Client(target)
        descriptor = client.descriptor
        guard tg_set_nonblocking(descriptor) == 0 else {
            throw CommandFailure(
                .software, "no non-blocking socket: \(String(cString: strerror(errno)))")
        }
    }

    var isWaiting: Bool { !pending.isEmpty }
    var backlog: Int { output.count - sent }

    func expect(_ verb: Verb, slot: Int32, intended: Int64) {
        pending.append(Pending(slot: slot, verb: verb, intended: intended))
    }
    /// The request that the next reply answers; nil when nobody asked.
    func takePending() -> Pending? { pending.isEmpty ? nil : pending.removeFirst() }

    /// `lost` leaves the reason in `errno`.
    enum Progress { case done, blocked, ended, lost }

    /// Writes what it can.
    func flush() -> Progress {
        while sent < output.count {
            let n = send(descriptor, output.base + sent, output.count - sent, Int32(MSG_NOSIGNAL))
            if n > 0 {
                sent += n
            } else if errno == EAGAIN {
                return .blocked
            } else if errno != EINTR {
                return .lost
            }
        }
        output.removeAll()
        sent = 0
        return .done
    }

    /// Reads what is there; `.done` means that there may be more.
    func fill() -> Progress {
        while true {
            let n = input.appendUninitialized(Self.readBytes) {
                recv(descriptor, $0, Self.readBytes, 0)
            }
            if n > 0 { return n == Self.readBytes ? .done : .blocked }
            if n == 0 { return .ended }
            if errno == EAGAIN { return .blocked }
            if errno != EINTR { return .lost }
        }
    }

    /// Hands every complete line to `body`, without its CRLF.
    func eachLine(_ body: (Bytes) -> Void) {
        let bytes = input.bytes
        var at = 0
        while let stop = bytes.slice(at, bytes.count).firstIndex(of: 0x0A) {
            let end = at + stop
            body(bytes.slice(at, end > at && bytes[end - 1] == 0x0D ? end - 1 : end))
            at = end + 1
        }
        input.removeFirst(at)
    }
}

/// A queue in a ring that doubles when it is full.
struct LoadQueue {
    private var items: [LoadConnection.Pending]
    private var head = 0
    private(set) var count = 0

    init() {
        items = Array(
            repeating: LoadConnection.Pending(slot: 0, verb: .reserve, intended: 0), count: 256)
    }
    var isEmpty: Bool { count == 0 }

    mutating func append(_ item: LoadConnection.Pending) {
        if count == items.count { grow() }
        items[(head + count) & (items.count - 1)] = item
        count += 1
    }
    mutating func removeFirst() -> LoadConnection.Pending {
        precondition(count > 0, "nothing is pending")
        defer {
            head = (head + 1) & (items.count - 1)
            count -= 1
        }
        return items[head]
    }
    @inline(never) private mutating func grow() {
        let ordered = (0..<count).map { items[(head + $0) & (items.count - 1)] }
        items = ordered + ordered
        head = 0
    }
}

/// Simulated upstream calls by the time at which they end: a binary heap.
struct LoadTimers {
    struct Entry {
        var due: Int64
        var slot: Int32
    }
    private var heap: [Entry] = []

    var isEmpty: Bool { heap.isEmpty }
    var first: Entry? { heap.first }

    mutating func insert(_ entry: Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0, case let parent = (child - 1) / 2, heap[child].due < heap[parent].due {
            heap.swapAt(child, parent)
            child = parent
        }
    }
    mutating func removeFirst() -> Entry {
        heap.swapAt(0, heap.count - 1)
        let entry = heap.removeLast()
        var parent = 0
        while case let left = 2 * parent + 1, left < heap.count {
            let right = left + 1
            let least = right < heap.count && heap[right].due < heap[left].due ? right : left
            guard heap[least].due < heap[parent].due else { break }
            heap.swapAt(least, parent)
            parent = least
        }
        return entry
    }
}
