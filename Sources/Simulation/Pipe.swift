/// A connection in memory, with a kernel's buffer in each direction.
final class Pipe {
    let number: Int
    /// The daemon's; nil before it is accepted and after it is closed.
    var descriptor: Int32?
    var toServer: [UInt8] = []
    var toClient: [UInt8] = []
    /// Most bytes that may wait for the client.
    let capacity: Int
    var clientEnded = false
    var clientClosed = false
    /// The client closed without reading all it had been sent.
    var wasReset = false
    var serverClosed = false

    /// Bytes the daemon has sent, and how many of them the client has read.
    private(set) var sent: UInt64 = 0
    private(set) var read: UInt64 = 0
    /// How far events were staged and durable when bytes left the daemon.
    struct Mark {
        var end: UInt64
        var staged: UInt64
        var durable: UInt64
    }
    private var marks: [Mark] = []

    init(number: Int, capacity: Int) {
        self.number = number
        self.capacity = capacity
    }
    var space: Int { capacity - toClient.count }

    func push(_ bytes: UnsafeRawBufferPointer, staged: UInt64, durable: UInt64) {
        toClient.append(contentsOf: bytes)
        sent += UInt64(bytes.count)
        marks.append(Mark(end: sent, staged: staged, durable: durable))
    }
    func take(_ count: Int) -> ArraySlice<UInt8> {
        let bytes = toClient.prefix(count)
        toClient.removeFirst(bytes.count)
        read += UInt64(bytes.count)
        return bytes
    }
    /// The mark under which the byte before `offset` left; earlier ones are forgotten.
    func mark(of offset: UInt64) -> Mark {
        while marks.count > 1, marks[0].end < offset { marks.removeFirst() }
        return marks.first ?? Mark(end: 0, staged: 0, durable: 0)
    }
}
