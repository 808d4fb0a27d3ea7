import Events
import Ledger
import Testing

/// The machine and a second, naive model of the rules, which was written from the design alone, are
/// asked the same questions and must answer the same, byte for byte.
@Suite struct DifferentialTests {
    private static let linesPerSeed = TestScale.isLong ? 50_000 : 2_500

    @Test(arguments: TestScale.isLong ? Array(1...40) : [1, 2, 3, 4, 5, 6] as [UInt64])
    func `machine and naive model agree on every answer`(seed: UInt64) throws {
        let machine = MachineDriver()
        var naive = NaiveModel()
        var generator = HistoryGenerator(seed: seed)
        for number in 1...Self.linesPerSeed {
            let (line, time) = generator.next()
            let answer = machine.answer(line, at: time)
            let expected = naive.answer(line, at: time) ?? ""
            try #require(
                Self.agree(answer, expected),
                """
                seed \(seed), line \(number), at \(time): \(line)
                machine: \(answer)
                naive:   \(expected)
                """)
            if line.hasPrefix("CHECK ") || line.hasPrefix("RESERVE ") && answer.hasPrefix("+DENY") {
                try compareExplanation(of: line, machine, naive, answer, time, seed, number)
            }
            generator.observe(expected)
            if number % 250 == 0 { try compareUsage(machine, naive, time, seed, number) }
        }
    }

    /// Errors agree by their code, admin events by success, everything else by every byte.
    private static func agree(_ answer: String, _ expected: String) -> Bool {
        if expected.hasPrefix("-") {
            return answer.split(separator: " ").first == expected.split(separator: " ").first
        }
        if expected.hasPrefix("{") { return answer.hasPrefix("{") }
        return answer == expected
    }

    private static func credit(_ json: JSON?) -> [String: String]? {
        guard let json else { return nil }
        var texts: [String: String] = [:]
        for member in json.members ?? [] { texts[member.name] = member.value.string }
        let grants = json["grants"]?.array ?? []
        texts["grants"] = grants.map { $0["left"]?.string ?? "?" }.joined(separator: " ")
        return texts
    }
    /// EXPLAIN tells of the answer that was given, of the check that refused as the first that does,
    /// and of every limit what the naive model knows of it.
    private func compareExplanation(
        of line: String, _ machine: MachineDriver, _ naive: NaiveModel, _ answer: String,
        _ time: Int64, _ seed: UInt64, _ number: Int
    ) throws {
        let words = line.split(separator: " ").map { String($0) }
        // EXPLAIN takes RESERVE's words, and CHECK does not take all of them.
        if words[0] == "CHECK", words.contains(where: { $0.hasPrefix("wait=") }) { return }
        let text = machine.answer(
            (["EXPLAIN"] + words.dropFirst()).joined(separator: " "), at: time)
        let place: Comment = "seed \(seed), line \(number), at \(time): \(line): \(answer): \(text)"
        let said = answer.split(separator: " ").map { String($0) }
        guard text.hasPrefix("{") else {
            try #require(text == answer, place)
            return
        }
        let explained = try text.withBytes { try JSON(parsing: $0) }
        let checks = try #require(explained["checks"]?.array, place)
        let refusing = checks.first { $0["passes"] == .bool(false) }
        switch said[0] {
        case "+ALLOW":
            try #require(explained["answer"]?.string == "allowed" && refusing == nil, place)
            try #require(said.contains("usd=\(explained["usd"]?.string ?? "?")"), place)
            for name in ["rule", "saved"] {
                if let word = said.first(where: { $0.hasPrefix(name + "=") }) {
                    let told = explained["routing"]?[name]?.string ?? "?"
                    try #require(word == "\(name)=\(told)", place)
                }
            }
        case "+DENY":
            try #require(explained["reason"]?.string == said[2], place)
            try #require(refusing?["check"]?.string == said[2], place)
            if let scope = refusing?["scope"]?.string {
                try #require(said.contains("scope=\(scope)"), place)
            }
        default: try #require(explained["answer"]?.string == "error", place)
        }
        guard naive.isKey(words[1]) else { return }
        let limits = try #require(explained["limits"]?.array, place)
        let standing = NaiveModel.lineage(words[1]).map { naive.usage($0, at: time) }
        try #require(
            limits.count == standing.flatMap(\.values).filter { $0.limit != nil }.count, place)
        for limit in limits {
            let depth = limit["account"]!.string!.split(separator: "/").count
            let expected = try #require(standing[3 - depth][limit["limit"]!.string!], place)
            let shown = ["amount", "used", "held"].map { name -> String? in
                switch limit[name] {
                case .string(let text), .number(let text): text
                default: nil
                }
            }
            try #require(shown == [expected.limit, expected.used, expected.held], place)
        }
        let binds = limits.first { $0["admits"] == .bool(false) }
        try #require(
            binds == nil
                || explained["binds"]?["limit"] == binds?["limit"]
                    && explained["binds"]?["account"] == binds?["account"],
            place)
    }

    private func compareUsage(
        _ machine: MachineDriver, _ naive: NaiveModel, _ time: Int64, _ seed: UInt64, _ line: Int
    ) throws {
        for account in machine.withBook({ $0.allPaths }) {
            let usage = try machine.usage(account, at: time)
            try #require(
                Self.credit(usage["credit"]) == naive.creditUsage(account),
                "seed \(seed), line \(line): \(account) \(String(describing: usage["credit"]))")
            for (name, expected) in naive.usage(account, at: time) {
                let entry = usage["limits"]?[name]
                let text = { (field: String) -> String? in
                    switch entry?[field] {
                    case .string(let text), .number(let text): text
                    default: nil
                    }
                }
                try #require(
                    text("limit") == expected.limit && text("used") == expected.used
                        && (text("held") ?? "0") == expected.held,
                    "seed \(seed), line \(line): \(account) \(name): \(String(describing: entry)) ≠ \(expected)"
                )
            }
        }
    }
}

extension Book {
    var allPaths: [String] {
        (0..<accountCount).compactMap { path(of: AccountNumber(UInt32($0)))?.string }
    }
}
