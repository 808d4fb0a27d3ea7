import Events
import Testing

@testable import Ledger

/// Who may append what, and where: role × type × place, each of them.
@Suite struct `Who may append` {
    /// Those but the admin that may append a type, as DESIGN.md has the roles.
    private static let others: [EventType: Role] = [
        .keyCreated: .developer, .keyRotated: .developer, .keyRevoked: .developer,
    ]
    /// What an account gets from above, so that nobody who is confined to it may change it.
    private static let fromAbove: Set<EventType> = [
        .limitsSet, .permissionsSet, .overrideGranted, .overrideEnded, .creditGranted, .billingSet,
        .accountDisabled, .accountEnabled,
    ]
    /// What nobody who is confined may, wherever: prices are everybody's, and a correction would give
    /// back what was spent of a budget from above.
    private static let ofTheLedger: Set<EventType> = [.priceSet, .aliasSet, .chargeCorrected]
    private enum Place: String, CaseIterable { case above, top, inside, beside, alike }
    private static let paths: [Place: String] = [
        .above: "acme", .top: "acme/ml", .inside: "acme/ml/prod", .beside: "acme/web",
        // Begins like the account, and is another.
        .alike: "acme/ml-2",
    ]

    private func ledger() -> MachineDriver {
        let machine = MachineDriver()
        for line in [
            #"org.created {"account":"acme"}"#, #"team.created {"account":"acme/ml"}"#,
            #"team.created {"account":"acme/ml-2"}"#, #"team.created {"account":"acme/web"}"#,
            #"key.created {"account":"acme/ml/prod"}"#,
            #"operator.created {"operator":"me","role":"admin","account":"acme/ml"}"#,
            #"operator.created {"operator":"top","role":"relay","account":"acme/ml"}"#,
            #"operator.created {"operator":"above","role":"relay","account":"acme"}"#,
            #"operator.created {"operator":"beside","role":"relay","account":"acme/web"}"#,
            #"operator.created {"operator":"alike","role":"relay","account":"acme/ml-2"}"#,
        ] {
            let answer = machine.answer("APPEND \(line)")
            precondition(!answer.hasPrefix("-"), "\(line): \(answer)")
        }
        return machine
    }
    private func objection(
        _ machine: MachineDriver, _ type: EventType, _ payload: JSON, _ role: Role,
        within path: String?
    ) -> Failure? {
        machine.withBook { book in
            let account = path.map { text in
                text.withBytes { AccountNumber(book.accounts.find($0, book.names)!) }
            }
            let authority = Authority(
                actor: .operatorNumber(0), role: role, account: account ?? .none)
            return book.objection(to: type, payload, by: authority)
        }
    }
    private func payload(_ type: EventType, _ place: Place) -> JSON {
        if type == .operatorRevoked {
            let name = place == .inside ? "me" : place.rawValue
            return .object([JSON.Member("operator", .string(name))])
        }
        return .object([JSON.Member("account", .string(Self.paths[place]!))])
    }

    @Test(arguments: Role.allCases)
    func `is told by role, type and place`(role: Role) throws {
        let machine = ledger()
        for type in EventType.allCases where type.isAppendable {
            let mayAtAll = role == .admin || Self.others[type] == role
            for place in Place.allCases {
                let payload = payload(type, place)
                let everywhere = objection(machine, type, payload, role, within: nil)
                #expect((everywhere == nil) == mayAtAll, "\(role) \(type.name)")
                let there = objection(machine, type, payload, role, within: "acme/ml")
                let isInside =
                    place == .inside || place == .top && !Self.fromAbove.contains(type)
                let may = mayAtAll && isInside && !Self.ofTheLedger.contains(type)
                #expect(
                    (there == nil) == may,
                    "\(role) \(type.name) \(place): \(there?.text ?? "may")")
                for refusal in [everywhere, there] {
                    guard let refusal else { continue }
                    #expect(refusal.code == .noPermission)
                    let named = refusal.text.split(separator: ";").last ?? ""
                    let roles = Self.others[type].map { "admin, \($0.name)" } ?? "admin"
                    #expect(
                        named == " that needs \(roles)" || named == " that needs \(roles) over it",
                        "\(type.name): \(refusal.text)")
                }
            }
        }
    }
    @Test func `nobody who is confined makes an operator of the whole ledger`() {
        let machine = ledger()
        for account in [JSON.null, nil] {
            let members = account.map { [JSON.Member("account", $0)] } ?? []
            let payload = JSON.object(members)
            #expect(
                objection(machine, .operatorCreated, payload, .admin, within: "acme/ml") != nil)
            #expect(objection(machine, .operatorCreated, payload, .admin, within: nil) == nil)
        }
    }
}
