import Audit
import Events
import Journal

/// A log read from a running daemon: LOG's frames, NAMES' pages.
///
/// The next batch is asked for before the last one is handed out, so that the daemon reads while whoever
/// asked folds.
final class SocketLog: LogSource {
    let client: Client
    let ledgerID: LedgerID
    private(set) var lastSeq: UInt64
    /// Why the daemon's log took no more events when it was last looked at; nil while it takes them.
    private(set) var readOnlyReason: String?
    /// What was asked ahead and has not been received.
    private var ahead: (first: UInt64, last: UInt64)?
    /// The answer to it, where something else was asked in between.
    private var kept = ByteBuffer()
    private var keptRange: (first: UInt64, last: UInt64)?

    init(_ client: Client) throws(CommandFailure) {
        self.client = client
        let info = try client.info()
        guard let ledger = info.first(where: { $0.name == "ledger" }),
            let id = LedgerID(ledger.value)
        else { throw CommandFailure(.protocolBroken, "the daemon's INFO names no ledger") }
        ledgerID = id
        lastSeq = try Self.end(info)
    }
    private static func end(
        _ info: [(section: String, name: String, value: String)]
    ) throws(CommandFailure) -> UInt64 {
        guard
            let end = info.first(where: { $0.name == "durable_seq" }).flatMap({ UInt64($0.value) })
        else { throw CommandFailure(.protocolBroken, "the daemon's INFO has no durable_seq") }
        return end
    }

    func refresh() throws(AuditFailure) {
        do throws(CommandFailure) {
            try collectAhead()
            let info = try client.info()
            lastSeq = try Self.end(info)
            let isReadOnly = info.contains { $0.name == "state" && $0.value == "readonly" }
            readOnlyReason = isReadOnly ? info.first { $0.name == "state_reason" }?.value : nil
        } catch {
            throw AuditFailure(error)
        }
    }

    func read(
        from first: UInt64, through last: UInt64, into batch: inout LogBatch
    ) throws(AuditFailure) {
        let last = min(last, lastSeq)
        guard first >= 1, first <= last else { return batch.removeAll() }
        try batch.take(framesFrom: first) { buffer throws(AuditFailure) in
            do throws(CommandFailure) { try receive(first, last, into: &buffer) } catch {
                throw AuditFailure(error)
            }
        }
        // A look at one event is no reason to read on.
        guard !batch.isEmpty, batch.lastSeq < last, keptRange == nil else { return }
        do throws(CommandFailure) {
            try ask(batch.lastSeq + 1, last)
            try client.flush()
            ahead = (batch.lastSeq + 1, last)
        } catch {
            throw AuditFailure(error)
        }
    }
    private func receive(
        _ first: UInt64, _ last: UInt64, into buffer: inout ByteBuffer
    ) throws(CommandFailure) {
        if let keptRange, keptRange == (first, last) {
            buffer.append(kept.bytes)
            self.keptRange = nil
            return
        }
        if let ahead, ahead == (first, last) {
            self.ahead = nil
        } else {
            try collectAhead()
            try ask(first, last)
        }
        try client.receive(bulkInto: &buffer)
    }
    /// Puts the answer aside that is still to come, so that something else can be asked.
    private func collectAhead() throws(CommandFailure) {
        guard let range = ahead else { return }
        ahead = nil
        kept.removeAll()
        try client.receive(bulkInto: &kept)
        keptRange = range
    }
    private func ask(_ first: UInt64, _ last: UInt64) throws(CommandFailure) {
        try client.send(["LOG", "from=\(first)", "to=\(last)"])
    }

    func names(
        _ kind: NameKind, from number: UInt32
    ) throws(AuditFailure) -> [(number: UInt32, name: String)] {
        let word =
            switch kind {
            case .account: "accounts"
            case .model: "models"
            case .operatorName: "operators"
            }
        do throws(CommandFailure) {
            try collectAhead()
            let page = try client.json(["NAMES", word, "from=\(number)"])
            return (page["names"]?.members ?? []).compactMap { member in
                guard let number = UInt32(member.name), let name = member.value.string else {
                    return nil
                }
                return (number, name)
            }
        } catch {
            throw AuditFailure(error)
        }
    }

    func personalTexts(_ body: (PersonalText) -> Void) throws(AuditFailure) {
        var from: Int64? = 0
        do throws(CommandFailure) {
            try collectAhead()
            while let place = from {
                let page = try client.json(["PERSONAL", "from=\(place)"])
                for value in page["values"]?.array ?? [] {
                    guard
                        let field = value["field"]?.string?.withBytes({ PersonalField($0) }),
                        let commitment = value["commitment"]?.string?.withBytes({ Commitment($0) }),
                        let text = value["text"]?.string
                    else { continue }
                    body(
                        PersonalText(
                            org: value["account"]?.string, field: field, commitment: commitment,
                            text: text))
                }
                from = page["next"]?.integer
            }
        } catch {
            throw AuditFailure(error)
        }
    }
}
