import Events
import Journal
import Ledger
import Wire

extension GateLoop {
    /// Puts commitments in the place of what is personal of a request, where its org chose so.
    // Out of line: where no org has chosen, nobody comes here.
    @inline(never)
    mutating func protect(_ text: inout RequestText, of key: KeyReference) throws(Failure) {
        try personal.protect(
            &text, machine.book.privacy(of: key), outbox: machine.outbox.count)
    }

    /// `ERASE`: overwrites a text where it stands, and tells the log that it is gone. The answer waits
    /// until both are on disk.
    mutating func erase(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        var request = try EraseRequest(arguments)
        // Whoever is confined erases there where nothing else is named.
        if request.account.isEmpty, let top = machine.book.path(of: session.pointee.confinement) {
            request.account = top
        }
        var orgs = [AccountNumber.none]
        if request.account.isEmpty {
            orgs += machine.book.orgAccounts
        } else {
            orgs = [try machine.book.org(request.account)]
        }
        var erased: [(seq: UInt64, commitment: Commitment)] = []
        var isMore = false
        for org in orgs {
            if erased.count == GateLimits.eraseOrgsMax {
                isMore = true
                break
            }
            let seq = machine.book.seq + 1
            let commitment: Commitment?
            do throws(JournalError) {
                commitment = try personal.erase(
                    request.text, request.field, of: org, epoch: machine.book.epoch, seq: seq,
                    outbox: machine.outbox.count)
            } catch {
                throw Failure(
                    .error,
                    "\(erased.count) erased, and then: \(error.message); when that is mended, ask again"
                )
            }
            guard let commitment else { continue }
            machine.noteErased(
                request.field, of: org, [commitment],
                reason: request.why.isEmpty ? nil : request.why.string)
            erased.append((seq, commitment))
        }
        var json = ByteBuffer(capacity: 1_024)
        var object = ObjectWriter(opening: &json)
        object.field("field", Bytes(request.field.name), into: &json)
        object.field("erased", Int64(erased.count), into: &json)
        object.name("events", into: &json)
        json.append(UInt8(ascii: "["))
        for (i, item) in erased.enumerated() {
            if i > 0 { json.append(UInt8(ascii: ",")) }
            json.append(decimal: item.seq)
        }
        json.append(UInt8(ascii: "]"))
        object.name("commitments", into: &json)
        json.append(UInt8(ascii: "["))
        for (i, item) in erased.enumerated() {
            if i > 0 { json.append(UInt8(ascii: ",")) }
            json.append(quoted: item.commitment.text)
        }
        json.append(UInt8(ascii: "]"))
        object.field("more", isMore, into: &json)
        json.append(UInt8(ascii: "}"))
        holdBack(session)
        appendReply(session) { $0.reply(bulk: json.bytes) }
    }
}
