import Events

/// What the commitments of a log were made of: asked of its source when the first is met, once, and then
/// at hand. As large as what is kept of persons, however long the log; nothing where no org chose it.
struct PersonalTexts: ~Copyable {
    private let source: any LogSource
    private var isLoaded = false
    private var entries: [Commitment: Entry] = [:]
    /// Orgs and texts; it does not move once it is loaded.
    private var arena = ByteBuffer(capacity: 16)
    private var orgs: [String: Range<Int>] = [:]

    private struct Entry {
        var field: PersonalField
        /// Empty for requests of keys that are nobody's.
        var org: Range<Int>
        var text: Range<Int>
    }

    init(_ source: any LogSource) { self.source = source }

    /// What stands for this text in a row of that account; nil when it is no commitment, or nobody can tell
    /// any more. Only those of the account's own org count: a caller may write what looks like another's.
    @inline(__always)
    mutating func plain(
        _ text: Bytes, _ field: PersonalField, of account: Bytes
    ) throws(AuditFailure) -> Bytes? {
        guard text.count == Commitment.textBytes, text[0] == UInt8(ascii: "~") else { return nil }
        return try look(text, field, account)
    }
    // Out of line: most logs hold none.
    @inline(never)
    private mutating func look(
        _ text: Bytes, _ field: PersonalField, _ account: Bytes
    ) throws(AuditFailure) -> Bytes? {
        guard let commitment = Commitment(text) else { return nil }
        if !isLoaded { try load() }
        guard let entry = entries[commitment], entry.field == field else { return nil }
        let org = slice(entry.org)
        guard
            org.isEmpty || account == org
                || account.count > org.count && account.slice(0, org.count) == org
                    && account[org.count] == UInt8(ascii: "/")
        else { return nil }
        return slice(entry.text)
    }
    private func slice(_ range: Range<Int>) -> Bytes {
        arena.bytes.slice(range.lowerBound, range.upperBound)
    }
    private mutating func load() throws(AuditFailure) {
        var found: [PersonalText] = []
        try source.personalTexts { found.append($0) }
        for value in found {
            entries[value.commitment] = Entry(
                field: value.field, org: org(value.org ?? ""), text: put(value.text))
        }
        isLoaded = true
    }
    private mutating func org(_ name: String) -> Range<Int> {
        if let known = orgs[name] { return known }
        let range = put(name)
        orgs[name] = range
        return range
    }
    private mutating func put(_ text: String) -> Range<Int> {
        let start = arena.count
        arena.append(text)
        return start..<arena.count
    }
}
