import Events
import Journal
import Synchronization

/// Where the texts of commitments stand in the file, for who reads events: it follows the file as the
/// gate's own table does, so that neither ever waits for the other.
final class PersonalIndex: Sendable {
    private let file: PersonalFile
    private let known = Mutex<(offsets: [Commitment: Int], seen: Int)>(
        ([:], PersonalFile.headerBytes))

    init(_ file: PersonalFile) { self.file = file }

    /// What a commitment was made of and whose people it is of; nil when that cannot be told any more.
    func text(
        of commitment: Commitment, _ field: PersonalField
    ) -> (org: AccountNumber, text: String)? {
        guard let offset = offset(of: commitment) else { return nil }
        var bytes = ByteBuffer(capacity: 320)
        guard let record = try? file.read(at: offset, into: &bytes), record.state == .kept,
            record.commitment == commitment, record.field == field
        else { return nil }
        return (record.org, record.text.string)
    }
    private func offset(of commitment: Commitment) -> Int? {
        known.withLock { known in
            if let offset = known.offsets[commitment] { return offset }
            guard known.seen < file.end else { return nil }
            var found: [(Commitment, Int)] = []
            guard
                let end = try? file.forEach(
                    from: known.seen,
                    { record in
                        if record.state == .kept {
                            found.append((record.commitment, record.offset))
                        }
                        return true
                    })
            else { return nil }
            for (commitment, offset) in found { known.offsets[commitment] = offset }
            known.seen = end
            return known.offsets[commitment]
        }
    }
}

/// A stored event of the kinds that carry what a caller said of a request.
struct RequestEvent {
    let model: ModelNumber
    let askedKey: Bytes
    private let text: RequestText

    init?(_ event: StoredEvent) {
        switch event.header.type {
        case .holdPlaced:
            guard let placed = try? HoldPlaced(event) else { return nil }
            (model, text, askedKey) = (placed.model, placed.text, .empty)
        case .holdRefused:
            guard let refused = try? HoldRefused(event) else { return nil }
            (model, text, askedKey) = (refused.model, refused.text, refused.askedKey)
        case .chargeRecorded:
            guard let charge = try? ChargeRecorded(event) else { return nil }
            (model, text, askedKey) = (charge.model, charge.text, .empty)
        default: return nil
        }
    }
    var personal: [(PersonalField, Bytes)] {
        [(.user, text.user), (.address, text.address), (.userAgent, text.userAgent)]
    }
}

extension Readers {
    /// `{"values":[{"account":…,"field":…,"commitment":…,"text":…},…],"next":…}`; `next` is with what to
    /// go on.
    func writePersonal(
        from: Int, limit: Int, _ names: inout NameCache, into json: inout ByteBuffer
    ) throws(Failure) {
        let file = journal.personal
        var count = 0
        var end = max(from, PersonalFile.headerBytes)
        var object = ObjectWriter(opening: &json)
        object.name("values", into: &json)
        json.append(UInt8(ascii: "["))
        do throws(JournalError) {
            var bytes = ByteBuffer(capacity: 320)
            let record = try file.read(at: end, into: &bytes)
            guard end <= PersonalFile.headerBytes || end >= file.end || record != nil else {
                throw JournalError(
                    .usage, "from=\(from) is no place to go on from: give what a page said as next")
            }
            end = try file.forEach(from: end) { record in
                guard record.state == .kept else { return true }
                if count > 0 { json.append(UInt8(ascii: ",")) }
                var item = ObjectWriter(opening: &json)
                if let path = names.path(record.org) {
                    item.field("account", path, into: &json)
                } else {
                    item.null("account", into: &json)
                }
                item.field("field", Bytes(record.field.name), into: &json)
                item.field("commitment", record.commitment.text, into: &json)
                item.field("text", record.text, into: &json)
                json.append(UInt8(ascii: "}"))
                count += 1
                return count < limit && json.count < GateLimits.eventsAnswerBytesMax
            }
        } catch {
            throw Failure(.error, error.message, of: journal)
        }
        if let damage = names.damage { throw Failure(.error, damage) }
        json.append(UInt8(ascii: "]"))
        if end < file.end {
            object.field("next", Int64(end), into: &json)
        } else {
            object.null("next", into: &json)
        }
        json.append(UInt8(ascii: "}"))
    }
}
