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
        guard !text.user.isEmpty else { return }
        let isPrivate: Bool
        if header.account != .none {
            let org = accounts[Int(header.account.raw)].chain.last!
            isPrivate = accounts[Int(org)].personal.contains(.user)
        } else {
            // Of a key that nobody knows: its path's org's choice, else anybody's.
            let name = asked.string.split(separator: "/").first.map(String.init) ?? ""
            let orgs = accounts.filter { $0.chain.count == 1 }
            let own = orgs.filter { $0.path == name }
            isPrivate = (own.isEmpty ? orgs : own).contains { $0.personal.contains(.user) }
        }
        guard isPrivate else {
            return try require(
                text.user.hasPrefix("u"), "event \(seq) hides \(text.user.string) for nobody")
        }
        guard let commitment = Commitment(text.user) else {
            throw Fault(text: "event \(seq) says that it was \(text.user.string)")
        }
        try require(
            !erased.contains(commitment), "event \(seq) names the erased \(commitment.text)")
        if commitments[commitment] == nil { commitments[commitment] = seq }
        counts["personal texts hidden", default: 0] += 1
    }
}
