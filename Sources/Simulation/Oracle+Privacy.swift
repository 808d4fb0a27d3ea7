import Events

/// What the log may say of people.
extension Oracle {
    func setPrivacy(of org: AccountNumber, _ json: JSON) {
        accounts[Int(org.raw)].personal = []
        for name in json["fields"]?.array ?? [] {
            if let field = name.string?.withBytes({ PersonalField($0) }) {
                accounts[Int(org.raw)].personal.insert(PersonalFields(field))
            }
        }
    }
    func noteErased(_ json: JSON) throws(Fault) {
        for text in json["commitments"]?.array ?? [] {
            guard let commitment = text.string?.withBytes({ Commitment($0) }) else {
                throw Fault(text: "event \(seq) erases no commitment")
            }
            commitments[commitment] = nil
            try require(
                erased.insert(commitment).inserted, "event \(seq) erases \(commitment.text) again")
            counts["personal texts erased", default: 0] += 1
        }
    }
    /// A text that its org wants kept out of the log is not in it.
    func requirePrivate(
        _ text: RequestText, _ header: EventHeader, _ asked: Bytes = .empty
    ) throws(Fault) {
        let chosen: PersonalFields
        if header.account != .none {
            let org = accounts[Int(header.account.raw)].chain.last!
            chosen = accounts[Int(org)].personal
        } else {
            // Of a key that nobody knows: its path's org's choice, else anybody's.
            let name = asked.string.split(separator: "/").first.map(String.init) ?? ""
            let orgs = accounts.filter { $0.chain.count == 1 }
            let own = orgs.filter { $0.path == name }
            chosen = (own.isEmpty ? orgs : own).reduce(into: []) { $0.formUnion($1.personal) }
        }
        for (field, text) in [
            (PersonalField.user, text.user), (.address, text.address), (.userAgent, text.userAgent),
        ] where !text.isEmpty {
            try requirePrivate(text, field, isPrivate: chosen.contains(field))
        }
    }
    private func requirePrivate(
        _ text: Bytes, _ field: PersonalField, isPrivate: Bool
    ) throws(Fault) {
        guard isPrivate else {
            return try require(
                Person.isPlain(field, text.string), "event \(seq) hides \(text.string) for nobody")
        }
        guard let commitment = Commitment(text) else {
            throw Fault(text: "event \(seq) says that it was \(text.string)")
        }
        try require(
            !erased.contains(commitment), "event \(seq) names the erased \(commitment.text)")
        if commitments[commitment] == nil { commitments[commitment] = seq }
        counts["personal texts hidden", default: 0] += 1
    }
}
