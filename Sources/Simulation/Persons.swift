import Events
import Glibc
import Journal

/// A text about a person that a request brings along.
struct Person: Hashable {
    var field: PersonalField
    var text: String

    /// Texts of which none is part of another, so that one that is gone can be searched for.
    static func text(_ field: PersonalField, _ number: Int) -> String {
        switch field {
        case .user: "person-\(number)."
        case .address: "203.0.113.\(100 + number)"
        case .userAgent: "agent-\(number)/1"
        }
    }
    static func isPlain(_ field: PersonalField, _ text: String) -> Bool {
        let start =
            switch field {
            case .user: "person-"
            case .address: "203.0.113."
            case .userAgent: "agent-"
            }
        return text.hasPrefix(start)
    }
}

/// What the clients know of people and what the file beside the log says of them: which texts were asked to
/// be erased, which of them may be gone, and which must be.
final class Persons {
    private struct Known {
        var person: Person
        var org: AccountNumber
        /// Whether it was read before it was erased.
        var isWhole: Bool
    }
    private struct Erasure {
        var person: Person
        var org: String?
    }
    /// What commitments were made of, as far as it ever stood in the file.
    private var known: [Commitment: Known] = [:]
    private var seen = PersonalFile.headerBytes
    /// Where this process began to add.
    private var birth = PersonalFile.headerBytes
    /// Erasures that were asked of this process and not answered well.
    private var pending: [Int: Erasure] = [:]
    private var serial = 0
    /// Counts processes: what one has not taken up no other will.
    private var life = 0
    /// Requests that bring a text and are not answered, and all that ever did.
    private var unheard: [Person: Int] = [:]
    private var sent: [Person: Int] = [:]
    /// Texts that were erased everywhere since anybody last brought them.
    private(set) var gone: Set<Person> = []

    // MARK: Clients

    func note(asking ask: inout Ask) {
        ask.life = life
        ask.gone = gone
        if case .erase(let person, let org) = ask.kind {
            serial += 1
            pending[serial] = Erasure(person: person, org: org)
            ask.erasure = serial
            ask.sent = unheard[person, default: 0] == 0 ? sent[person, default: 0] : nil
        }
        for person in ask.persons {
            unheard[person, default: 0] += 1
            sent[person, default: 0] += 1
            gone.remove(person)
        }
    }
    func note(hearing ask: Ask) {
        guard ask.life == life else { return }
        for person in ask.persons { unheard[person, default: 0] -= 1 }
    }
    /// An erasure is answered, and covers all that it could.
    func note(erased person: Person, _ ask: Ask) {
        if ask.life == life { pending[ask.erasure] = nil }
        guard case .erase(_, nil) = ask.kind, let sent = ask.sent,
            sent == self.sent[person, default: 0]
        else { return }
        gone.insert(person)
    }
    /// Another process has begun.
    ///
    /// - Parameter end: of the file, as it is taken up.
    func noteStart(end: Int) {
        life += 1
        birth = end
        pending = [:]
        unheard = [:]
        seen = PersonalFile.headerBytes
    }

    // MARK: The file

    /// - Parameter isNamed: whether an event names it. What a process keeps itself one must name; where one was
    ///   killed it may have left more.
    func learn(_ file: PersonalFile, isNamed: (Commitment) -> Bool) throws {
        guard seen < file.end else { return }
        var unnamed: Commitment?
        seen = try file.forEach(from: seen) { record in
            if record.offset >= birth, record.state == .kept, !isNamed(record.commitment) {
                unnamed = record.commitment
            }
            let isWhole = record.state == .kept
            if known[record.commitment]?.isWhole != true {
                known[record.commitment] = Known(
                    person: Person(field: record.field, text: record.text.string), org: record.org,
                    isWhole: isWhole)
            }
            return true
        }
        if let unnamed {
            throw Violation(text: "\(unnamed.text) is kept, and no event names it")
        }
    }
    func text(of commitment: Commitment) -> Person? {
        known[commitment].flatMap { $0.isWhole ? $0.person : nil }
    }
    /// Whether a text may be half erased: somebody asked for it, and was not answered.
    func mayBeErased(_ commitment: Commitment, _ accounts: [Oracle.Account]) -> Bool {
        guard let known = known[commitment] else { return false }
        return pending.values.contains { erasure in
            guard erasure.person.field == known.person.field,
                !known.isWhole || erasure.person.text == known.person.text
            else { return false }
            guard let org = erasure.org else { return true }
            return known.org != .none && accounts[Int(known.org.raw)].path == org
        }
    }
    /// - Parameter bytes: the file's, all of them.
    func requireGone(from bytes: [UInt8]) throws {
        for person in gone {
            let isThere = bytes.withUnsafeBytes { Persons.holds(Bytes($0), person.text) }
            guard isThere else { continue }
            throw Violation(
                text: "\(person.field.name) \(person.text) was erased, and stands in the file")
        }
    }
    private static func holds(_ bytes: Bytes, _ text: String) -> Bool {
        text.withBytes { text in
            var at = 0
            while at + text.count <= bytes.count,
                let found = memchr(bytes.base! + at, Int32(text[0]), bytes.count - at)
            {
                at = bytes.base!.distance(to: UnsafeRawPointer(found))
                if at + text.count <= bytes.count, bytes.slice(at, at + text.count) == text {
                    return true
                }
                at += 1
            }
            return false
        }
    }
}
