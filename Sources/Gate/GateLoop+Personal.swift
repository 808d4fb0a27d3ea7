import Events
import Journal
import Ledger
import Wire

extension GateLoop {
    /// Puts commitments in the place of what is personal of a request, where its org chose so. What comes
    /// next is its decision, and then `settlePersons`.
    ///
    /// - Returns: where in the outbox the events of its decision begin.
    // Out of line: where no org has chosen, nobody comes here.
    @inline(never)
    mutating func protect(
        _ text: inout RequestText, of key: KeyReference
    ) throws(Failure) -> Int {
        try personal.protect(&text, machine.book.privacy(of: key))
        return machine.outbox.count
    }
    /// - Parameter start: what `protect` returned.
    @inline(never)
    mutating func settlePersons(from start: Int) {
        guard personal.isTentative else { return }
        personal.settle(machine.outbox.bytes.slice(start, machine.outbox.count))
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
        do throws(JournalError) {
            try personal.prepareToErase()
        } catch {
            throw Failure(
                .error, "nothing erased: \(error.message); when that is mended, ask again",
                of: journal)
        }
        var erased: [(seq: UInt64, commitments: [Commitment])] = []
        var isMore = false
        for org in orgs {
            if erased.count == GateLimits.eraseOrgsMax {
                isMore = true
                break
            }
            let seq = machine.book.seq + 1
            let commitments: [Commitment]
            do throws(JournalError) {
                commitments = try personal.erase(
                    request.text, request.field, of: org, epoch: machine.book.epoch, seq: seq)
            } catch {
                throw Failure(
                    .error,
                    "\(erased.count) erased, and then: \(error.message); when that is mended, ask again",
                    of: journal
                )
            }
            guard !commitments.isEmpty else { continue }
            machine.noteErased(
                request.field, of: org, commitments,
                reason: request.why.isEmpty ? nil : request.why.string)
            erased.append((seq, commitments))
        }
        var json = ByteBuffer(capacity: 1_024)
        var object = ObjectWriter(opening: &json)
        object.field("field", Bytes(request.field.name), into: &json)
        object.field("erased", Int64(erased.count), into: &json)
        object.name("events", into: &json)
        json.append(.array(erased.map { .integer(Int64($0.seq)) }))
        object.name("commitments", into: &json)
        json.append(.strings(erased.flatMap { $0.commitments.map(\.text) }))
        object.field("more", isMore, into: &json)
        json.append(UInt8(ascii: "}"))
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .answersErasuresEarly {
            return appendReply(session) { $0.reply(bulk: json.bytes) }
        }
        #endif
        holdBack(session)
        appendReply(session) { $0.reply(bulk: json.bytes) }
    }
}
