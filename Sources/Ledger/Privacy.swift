import Events

// What orgs want stored of their people. The book only says whose choice counts for a request: who
// decides sees the texts as they will be stored.

extension Book {
    /// The org whose choice counts for what a key brings along, and the choice. A key that nobody knows
    /// is its path's org's, or nobody's: then whatever any org protects is protected, because whose
    /// mistyped secret it was cannot be told.
    package func privacy(of key: KeyReference) -> (org: AccountNumber, fields: PersonalFields) {
        if let known = self.key(key) {
            let org = accounts.rows.pointer(known).pointee.orgRow.pointee
            return (AccountNumber(org.account), org.personal)
        }
        if case .path(let path) = key {
            let name = path.slice(0, path.firstIndex(of: UInt8(ascii: "/")) ?? path.count)
            if let org = accounts.find(name, names) { return privacy(ofOrg: org) }
        }
        return (.none, personal)
    }
    private func privacy(ofOrg account: UInt32) -> (org: AccountNumber, fields: PersonalFields) {
        (AccountNumber(account), accounts.rows.pointer(account).pointee.orgRow.pointee.personal)
    }
    /// All orgs, in the order in which they were created.
    package var orgAccounts: [AccountNumber] {
        (0..<accounts.orgs.count).map { AccountNumber(accounts.orgs.pointer($0).pointee.account) }
    }
    /// The number of an org.
    package func org(_ path: Bytes) throws(Failure) -> AccountNumber {
        let number = try account(path)
        guard accounts.rows.pointer(number).pointee.tier == .org else {
            throw Failure(
                .error, "\(path.string) is no org: what is personal is kept and erased by org")
        }
        return AccountNumber(number)
    }

    mutating func apply(_ set: PrivacySet, _ header: EventHeader) throws(EventError) {
        let row = accounts.rows.pointer(try existing(header.account))
        guard row.pointee.tier == .org else { throw .malformed("account") }
        row.pointee.orgRow.pointee.personal = set.fields
        personal = []
        for i in 0..<accounts.orgs.count {
            personal.formUnion(accounts.orgs.pointer(i).pointee.personal)
        }
    }

    /// `privacy` of an org that chose any.
    func writePrivacy(
        of org: UnsafeMutablePointer<OrgRow>, _ object: inout ObjectWriter, into b: inout ByteBuffer
    ) {
        let fields = org.pointee.personal.all
        guard !fields.isEmpty else { return }
        object.name("privacy", into: &b)
        b.append(UInt8(ascii: "["))
        for (i, field) in fields.enumerated() {
            if i > 0 { b.append(UInt8(ascii: ",")) }
            b.append(quoted: Bytes(field.name))
        }
        b.append(UInt8(ascii: "]"))
    }
}

extension Machine {
    /// Tells the log that a text was erased; its commitments stay.
    package mutating func noteErased(
        _ field: PersonalField, of org: AccountNumber, _ commitments: [Commitment], reason: String?
    ) {
        var members = [
            JSON.Member("commitments", .strings(commitments.map(\.text))),
            JSON.Member("field", .string("\(field.name)")),
        ]
        if let path = book.path(of: org) {
            members.append(JSON.Member("account", .string(path.string)))
        }
        if let reason { members.append(JSON.Member("reason", .string(reason))) }
        emit(.personalErased, account: org, .object(members))
    }
}
