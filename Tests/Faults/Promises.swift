import Events
import TestSupport

/// What clients had been told at a moment of a trace, and so what must be there after it.
struct Promises {
    /// Up to this event all was told to be on the disk.
    private(set) var disk: UInt64 = 0
    /// Up to this one it was answered at all.
    private(set) var process: UInt64 = 0
    /// The latest epoch that a hold's name told of: it must never begin again.
    private(set) var epoch: UInt32 = 0
    /// The latest checkpoint that was signed and told; one client asks for all of them.
    private(set) var checkpoint: String?
    /// Refusals that were asked for by the time, and those that were answered.
    private(set) var refusalsAsked = 0
    private(set) var refusalsTold = 0

    private struct Connection {
        var asked = ""
        var told = ""
        var requests: [Substring] = []
        var answered = 0
    }
    private var connections: [UInt32: Connection] = [:]
    private let ends: [HoldName: UInt64]

    /// - Parameter ends: the event that ended each hold.
    init(ends: [HoldName: UInt64]) { self.ends = ends }

    mutating func follow(_ record: Trace.Record, _ trace: borrowing Trace) throws {
        switch record.kind {
        case .process: connections = [:]
        case .accept: connections[record.handle] = Connection()
        case .received:
            connections[record.handle, default: Connection()].asked += trace.text(record)
            takeRequests(record.handle)
        case .sent:
            connections[record.handle, default: Connection()].told += trace.text(record)
            try takeReplies(record.handle)
        default: break
        }
    }

    private mutating func takeRequests(_ handle: UInt32) {
        while let end = connections[handle]!.asked.firstIndex(where: \.isNewline) {
            let line = connections[handle]!.asked[..<end]
            connections[handle]!.requests.append(line)
            if line.contains(" \(Furniture.refusedModel) ") { refusalsAsked += 1 }
            connections[handle]!.asked.removeSubrange(...end)
        }
    }
    private mutating func takeReplies(_ handle: UInt32) throws {
        while let reply = takeReply(&connections[handle]!.told) {
            let number = connections[handle]!.answered
            guard number < connections[handle]!.requests.count else {
                throw RigFailure("an answer without a request: \(reply)")
            }
            connections[handle]!.answered += 1
            note(String(connections[handle]!.requests[number]), reply)
        }
    }
    private func takeReply(_ text: inout String) -> String? {
        guard let end = text.firstIndex(where: \.isNewline) else { return nil }
        let head = String(text[..<end])
        let rest = text.index(after: end)
        guard head.first == "$", let count = Int(head.dropFirst()), count >= 0 else {
            text = String(text[rest...])
            return head
        }
        // A CRLF is one Character but two bytes.
        let bytes = text[rest...].utf8
        guard bytes.count >= count + 2 else { return nil }
        let body = String(decoding: bytes.prefix(count), as: UTF8.self)
        text = String(decoding: bytes.dropFirst(count + 2), as: UTF8.self)
        return body
    }

    private mutating func note(_ request: String, _ reply: String) {
        let words = reply.split(separator: " ")
        let name = words.dropFirst().first.flatMap { word in
            String(word).withBytes { HoldName(parsing: $0) }
        }
        let verb = request.prefix { $0 != " " }
        if verb == "TREE" { return noteCheckpoint(reply) }
        var seq: UInt64 = 0
        switch words.first {
        case "+ALLOW", "+CHARGED":
            seq = name?.seq ?? 0
            epoch = max(epoch, name?.epoch ?? 0)
        case "+SETTLED", "+RELEASED": seq = name.flatMap { ends[$0] } ?? 0
        // A ledger that takes no events logs none of what it refuses for that.
        case "+DENY": refusalsTold += words.contains("paused") ? 0 : 1
        default:
            if verb == "APPEND", let json = try? reply.withBytes({ try JSON(parsing: $0) }) {
                seq = UInt64(json["seq"]?.integer ?? 0)
            }
        }
        process = max(process, seq)
        let isOnDisk =
            verb == "RESERVE" ? request.contains(" ack=disk") : !request.contains(" ack=ring")
        if isOnDisk { disk = max(disk, seq) }
    }
    /// What is signed stays signed, whatever happens to the machine.
    private mutating func noteCheckpoint(_ note: String) {
        let lines = note.split(separator: "\n")
        guard lines.count > 2, let size = UInt64(lines[1]) else { return }
        checkpoint = note
        disk = max(disk, size)
    }
}
