import Events
import Ledger
import Testing

@Suite struct `Listings` {
    /// A page as `LIST` answers it.
    private func page(
        _ machine: borrowing Machine, _ listing: Listing, under: String = "", after: String = ""
    ) throws -> (items: [String], next: String?) {
        var json = ByteBuffer()
        try under.withBytes { (under) throws(Failure) in
            try after.withBytes { (after) throws(Failure) in
                try machine.book.writeListing(
                    listing, under: under, after: after, limit: 100,
                    for: Authority(actor: .daemon, role: .admin), at: machine.now, into: &json)
            }
        }
        let answer = try JSON(parsing: json.bytes)
        guard case .array(let items)? = answer["items"] else { return ([], nil) }
        return (items.compactMap { $0["account"]?.string }, answer["next"]?.string)
    }

    @Test func `teams without keys end a page early, and nothing is left out`() throws {
        var machine = Machine(book: Book(), calendar: .utc)
        machine.start(ledger: String(repeating: "0", count: 32), version: "test")
        func create(_ type: EventType, _ account: String) throws {
            _ = try machine.append(
                type, .object([JSON.Member("account", .string(account))]),
                secret: type == .keyCreated ? [UInt8](repeating: 1, count: 32) : [])
            machine.outbox.removeAll()
        }
        try create(.orgCreated, "acme")
        try create(.teamCreated, "acme/first")
        try create(.keyCreated, "acme/first/a")
        for i in 0..<9_000 { try create(.teamCreated, "acme/t\(i)") }
        try create(.teamCreated, "acme/last")
        _ = try machine.append(
            .keyCreated, .object([JSON.Member("account", .string("acme/last/z"))]),
            secret: [UInt8](repeating: 2, count: 32))
        machine.outbox.removeAll()
        try create(.orgCreated, "beta")

        for under in ["", "acme"] {
            var keys: [String] = []
            var pages = 0
            var after: String? = ""
            while let from = after {
                let page = try page(machine, .keys, under: under, after: from)
                keys += page.items
                pages += 1
                after = page.next
                guard pages < 10 else { break }
            }
            #expect(keys == ["acme/first/a", "acme/last/z"])
            #expect(
                pages == 3, "nine thousand empty teams are two pages' walk, and one more ends it")
        }
        // Pages that end because they are full are as they were.
        let teams = try page(machine, .teams, under: "acme")
        #expect(teams.items.count == 100 && teams.next == "acme/t98")
    }
}
