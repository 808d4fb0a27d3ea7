import Crypto
import Events
import Journal
import Ledger

/// Puts commitments in the place of personal texts, before a request is decided: what the machine never
/// sees can neither be logged nor shown.
///
/// One text of an org has one commitment, so that its requests can be counted and searched together
/// without saying whose they are; the same text in another org, or after it has been erased, has another.
/// The gate owns the table. It keeps no text, only keyed hashes of them and where they stand in the file.
struct PersonalTable: ~Copyable {
    private struct Entry {
        var commitment: Commitment
        /// In the file, or where it will stand.
        var offset: Int
    }
    private var entries: [Hash128: Entry] = [:]
    /// Further records of a text that has one: a process that was killed may have left them.
    private var doubles: [Hash128: [Entry]] = [:]
    private let journal: Journal
    private let file: PersonalFile
    /// Random bits for salts; a simulation has its own.
    private let random: () -> UInt64

    /// Of a request that is not decided and may come to nothing: the records, and what their texts are
    /// known by.
    private var fresh = ByteBuffer(capacity: 1_024)
    private var tentative: [Hash128] = []
    /// The texts that the last request has now.
    private let texts = UnsafeMutableRawPointer.allocate(
        byteCount: PersonalField.allCases.count * Commitment.textBytes, alignment: 1)

    /// Takes up what a ledger's file holds.
    init(_ journal: Journal, random: (() -> UInt64)? = nil) throws(DaemonFailure) {
        self.journal = journal
        file = journal.personal
        self.random = random ?? { UInt64.random(in: .min ... .max) }
        tentative.reserveCapacity(PersonalField.allCases.count)
        var found: [Hash128: Entry] = [:]
        var doubles: [Hash128: [Entry]] = [:]
        var erased: [(Untold, seq: UInt64)] = []
        do throws(JournalError) {
            try file.forEach { record in
                switch record.state {
                case .kept:
                    let name = PersonalTable.name(record.org, record.field, record.text)
                    let entry = Entry(commitment: record.commitment, offset: record.offset)
                    // The first is the one that events name.
                    if found[name] == nil {
                        found[name] = entry
                    } else {
                        doubles[name, default: []].append(entry)
                    }
                case .erased:
                    // Those of earlier epochs were looked at when these ended.
                    guard record.erasedBy.epoch == journal.lastEpoch, record.erasedBy.seq > 0
                    else { break }
                    let untold = Untold(
                        org: record.org, field: record.field, commitment: record.commitment)
                    erased.append((untold, record.erasedBy.seq))
                }
                return true
            }
            for (erased, seq) in erased where try !PersonalTable.isTold(seq, journal) {
                untold.append(erased)
            }
        } catch {
            throw DaemonFailure(error)
        }
        entries = found
        self.doubles = doubles
    }
    deinit { texts.deallocate() }

    /// What was erased, as of the start, by events that the log does not have: a process that was killed,
    /// or a power cut, came between the two.
    private(set) var untold: [Untold] = []
    /// Texts that can still be told.
    var count: Int { entries.count }
    /// Whether a request has brought new texts and is not decided.
    var isTentative: Bool { !tentative.isEmpty }

    // MARK: Requests

    /// Replaces what is personal of a request; the texts are good until the next call. Right behind the
    /// decision comes `settle`.
    ///
    /// - Parameter choice: whose people they are, and which fields of them are protected.
    mutating func protect(
        _ text: inout RequestText, _ choice: (org: AccountNumber, fields: PersonalFields)
    ) throws(Failure) {
        precondition(!isTentative, "what became of the last request is known")
        guard !choice.fields.isEmpty else { return }
        for field in PersonalField.allCases where choice.fields.contains(field) {
            #if TOLLGATE_PLANTED_BUGS
            if PlantedBug.current == .hidesUsersOnly, field != .user { continue }
            #endif
            let plain = text[field]
            guard !plain.isEmpty else { continue }
            let name = PersonalTable.name(choice.org, field, plain)
            let commitment =
                entries[name]?.commitment ?? commit(plain, field, choice.org, name)
            let target = texts + Int(field.rawValue) * Commitment.textBytes
            commitment.write(to: target)
            text[field] = Bytes(target, count: Commitment.textBytes)
        }
        if isTentative { try put() }
    }
    // Out of line: each person comes for the first time once.
    @inline(never)
    private mutating func commit(
        _ plain: Bytes, _ field: PersonalField, _ org: AccountNumber, _ name: Hash128
    ) -> Commitment {
        let salt = (random(), random())
        let commitment = PersonalTable.commitment(salt, field, plain)
        entries[name] = Entry(commitment: commitment, offset: file.end + fresh.count)
        tentative.append(name)
        PersonalFile.record(commitment, field, org: org, salt: salt, plain, into: &fresh)
        return commitment
    }
    /// Before anything is decided: whoever is admitted or refused can be told by the log for good, or
    /// nothing happens.
    @inline(never)
    private mutating func put() throws(Failure) {
        do throws(JournalError) {
            try file.put(fresh.bytes)
        } catch {
            forget()
            throw Failure(
                .readOnly, "what is personal of the request cannot be kept: \(error.message)",
                of: journal)
        }
    }
    /// Settles what became of the request: one that left no event leaves no record either. So neither who is
    /// asked to wait nor a flood of refusals that are only counted fills the disk.
    ///
    /// - Parameter events: those of its decision.
    mutating func settle(_ events: Bytes) {
        guard PersonalTable.names(events) else { return forget() }
        file.keep(fresh.count)
        fresh.removeAll()
        tentative.removeAll(keepingCapacity: true)
    }
    /// Whether one of the events is of a request. A window, or a second's sums, names nobody.
    private static func names(_ events: Bytes) -> Bool {
        var at = 0
        while at < events.count {
            let event = events.base.unsafelyUnwrapped + at
            switch EventType(rawValue: event.field(UInt8.self, 2)) {
            case .holdPlaced, .holdRefused, .chargeRecorded: return true
            default: at += Int(event.field(UInt16.self, 0))
            }
        }
        return false
    }
    private mutating func forget() {
        for name in tentative { entries[name] = nil }
        fresh.removeAll()
        tentative.removeAll(keepingCapacity: true)
    }

    // MARK: Erasing

    /// Something erased of which no event tells.
    struct Untold {
        var org: AccountNumber
        var field: PersonalField
        var commitment: Commitment
    }
    /// Before an erasure: cuts off what nobody has kept, which may be the same text; also from the disk, for
    /// where nothing else is found no event is waited for.
    func prepareToErase() throws(JournalError) {
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .keepsUnkeptTexts { return }
        #endif
        try file.dropUnkeptDurably()
    }
    /// Erases a text of an org's people, and answers its commitments; none where there is none. The event
    /// of that number will tell of it. Asked again after a failure it goes on where that was.
    mutating func erase(
        _ plain: Bytes, _ field: PersonalField, of org: AccountNumber, epoch: UInt32, seq: UInt64
    ) throws(JournalError) -> [Commitment] {
        let name = PersonalTable.name(org, field, plain)
        guard let entry = entries[name] else { return [] }
        let all = [entry] + (doubles[name] ?? [])
        for entry in all {
            try file.erase(
                at: entry.offset, entry.commitment, field, of: org, textBytes: plain.count,
                epoch: epoch, seq: seq)
        }
        (entries[name], doubles[name]) = (nil, nil)
        return all.map(\.commitment)
    }
    /// At the end of a turn: what requests have left that came to nothing goes. If it does not go now it will
    /// with the next turn.
    func dropUnkept() {
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .keepsUnkeptTexts { return }
        #endif
        if file.hasUnkept { try? file.dropUnkept() }
    }
    /// Whether the log has the event that tells of an erasure.
    private static func isTold(_ seq: UInt64, _ journal: Journal) throws(JournalError) -> Bool {
        var isTold = false
        guard seq <= journal.lastSeq else { return false }
        try journal.read(from: seq, through: seq) { event in
            isTold =
                event.header.type == .personalErased && event.header.epoch == journal.lastEpoch
            return false
        }
        return isTold
    }

    // MARK: Hashes

    /// What a text is known by: a hash keyed afresh in each process, as a secret's is.
    private static func name(
        _ org: AccountNumber, _ field: PersonalField, _ text: Bytes
    ) -> Hash128 {
        func lane(_ lane: UInt8) -> UInt64 {
            var hasher = Hasher()
            hasher.combine(lane)
            hasher.combine(org.raw)
            hasher.combine(field.rawValue)
            hasher.combine(bytes: UnsafeRawBufferPointer(start: text.base, count: text.count))
            return UInt64(bitPattern: Int64(hasher.finalize()))
        }
        return Hash128(low: lane(1), high: lane(2))
    }
    /// SHA-256 over salt, field name, a zero and the text, of which 128 bits are kept: too many to meet
    /// by chance, and with a salt as long, nobody can try a guess without it.
    static func commitment(
        _ salt: (UInt64, UInt64), _ field: PersonalField, _ text: Bytes
    ) -> Commitment {
        var input = ByteBuffer(capacity: 320)
        input.append(uint64: salt.0)
        input.append(uint64: salt.1)
        input.append(field.name)
        input.append(0)
        input.append(text)
        var digest = ByteBuffer(capacity: SHA256.byteCount)
        for byte in SHA256.hash(
            data: UnsafeRawBufferPointer(start: input.base, count: input.count))
        {
            digest.append(byte)
        }
        return Commitment(
            low: digest.base.loadUnaligned(as: UInt64.self),
            high: digest.base.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }
}

extension RequestText {
    fileprivate subscript(field: PersonalField) -> Bytes {
        get {
            switch field {
            case .user: user
            case .address: address
            case .userAgent: userAgent
            }
        }
        set {
            switch field {
            case .user: user = newValue
            case .address: address = newValue
            case .userAgent: userAgent = newValue
            }
        }
    }
}
