import Events
import Ledger
import Testing

/// The life of a key, as tables: what happened to it, when it is asked for, what is answered. A secret is
/// a word such as `s1`, whose digest is brought.
@Suite struct `The life of a key` {
    private static let noon: Int64 = 1_795_348_800_000_000_000  // 2026-11-22T12:00:00Z
    private static let second: Int64 = 1_000_000_000

    private func ledger(_ fields: String = "") -> MachineDriver {
        let machine = MachineDriver()
        for line in [
            #"APPEND price.set {"model":"openai/gpt-4.1","in":"10","out":"20"}"#,
            #"APPEND org.created {"account":"acme"}"#,
            #"APPEND team.created {"account":"acme/ml"}"#,
            #"APPEND key.created {"account":"acme/ml/prod""# + Self.brings("s1") + fields + "}",
        ] {
            let answer = machine.answer(line, at: Self.noon)
            precondition(!answer.hasPrefix("-"), "\(line): \(answer)")
        }
        return machine
    }
    private static func brings(_ secret: String) -> String {
        #","secret_sha256":"\#(NaiveModel.digest(of: secret))""#
    }
    private static func rotate(_ secret: String, grace: Int64 = 0, _ more: String = "") -> String {
        #"APPEND key.rotated {"account":"acme/ml/prod","grace":\#(grace)"# + brings(secret) + more
            + "}"
    }
    private func ask(
        _ machine: MachineDriver, _ key: String, at seconds: Int64 = 0, nanoseconds: Int64 = 0
    ) -> String {
        let reply = machine.answer(
            "CHECK \(key) openai/gpt-4.1 in=1 out=1",
            at: Self.noon + seconds * Self.second + nanoseconds)
        return reply.hasPrefix("+ALLOW") ? "yes" : reply
    }
    private func types(_ machine: MachineDriver) throws -> [EventType] {
        try machine.log.map { bytes in
            try bytes.withUnsafeBytes { try StoredEvent(Bytes($0)).header.type }
        }
    }
    private static let revoked = "+DENY 401 key_revoked scope=acme/ml/prod"

    @Test func `both secrets work in the grace, and the new one alone at its end`() {
        let machine = ledger()
        #expect(ask(machine, "s1") == "yes" && ask(machine, "s2") == "+DENY 401 key_unknown")
        #expect(machine.answer(Self.rotate("s2", grace: 60), at: Self.noon).hasPrefix("{"))
        for key in ["s1", "s2", "acme/ml/prod"] { #expect(ask(machine, key, at: 59) == "yes") }
        #expect(ask(machine, "s1", at: 60, nanoseconds: -1) == "yes")
        #expect(ask(machine, "s1", at: 60) == Self.revoked)
        #expect(ask(machine, "s2", at: 60) == "yes")
        #expect(ask(machine, "acme/ml/prod", at: 60) == "yes")
    }
    @Test func `without a grace the old secret is dead at once, and so is one that had some left`()
    {
        let machine = ledger()
        #expect(machine.answer(Self.rotate("s2", grace: 600), at: Self.noon).hasPrefix("{"))
        #expect(machine.answer(Self.rotate("s3"), at: Self.noon + Self.second).hasPrefix("{"))
        #expect(ask(machine, "s1", at: 1) == Self.revoked)
        #expect(ask(machine, "s2", at: 1) == Self.revoked)
        #expect(ask(machine, "s3", at: 1) == "yes")
    }
    @Test func `path, limits and history outlive a rotation`() throws {
        let machine = ledger(#","limits":{"usd.total":"1"}"#)
        let hold = machine.answer("RESERVE s1 openai/gpt-4.1 in=60000 out=0", at: Self.noon)
        #expect(hold.hasPrefix("+ALLOW"))
        _ = machine.answer(Self.rotate("s2"), at: Self.noon)
        let other = machine.answer("RESERVE s2 openai/gpt-4.1 in=60000 out=0", at: Self.noon)
        #expect(other.contains("budget_exhausted") && other.contains("held=0.6"), "\(other)")
        let name = hold.split(separator: " ")[1]
        #expect(machine.answer("SETTLE \(name) in=1 out=0", at: Self.noon).hasPrefix("+SETTLED"))
    }
    @Test func `the same rotation with the same id is one, and answers the same`() {
        let machine = ledger()
        let line = Self.rotate("s2", grace: 5, #","id":"q4""#)
        let first = machine.answer(line, at: Self.noon)
        let seq = machine.seq
        #expect(machine.answer(line, at: Self.noon + 99 * Self.second) == first)
        #expect(machine.seq == seq)
        #expect(
            machine.answer(Self.rotate("s3", #","id":"q4""#), at: Self.noon).hasPrefix("-CONFLICT"))
    }
    @Test func `revocation is at once, for every secret and for the path, and for good`() {
        let machine = ledger()
        _ = machine.answer(Self.rotate("s2", grace: 600), at: Self.noon)
        #expect(
            machine.answer(#"APPEND key.revoked {"account":"acme/ml/prod"}"#, at: Self.noon)
                .hasPrefix("{"))
        for key in ["s1", "s2", "acme/ml/prod"] { #expect(ask(machine, key) == Self.revoked) }
        for (line, error) in [
            (
                Self.rotate("s3"),
                "-ERR key acme/ml/prod is revoked, for good: create a key of another name"
            ),
            (
                #"APPEND key.revoked {"account":"acme/ml/prod"}"#,
                "-ERR key acme/ml/prod is revoked already"
            ),
            (
                #"APPEND account.enabled {"account":"acme/ml/prod"}"#,
                "-ERR key acme/ml/prod is revoked, for good: create a key of another name"
            ),
            (
                #"APPEND account.disabled {"account":"acme/ml/prod"}"#,
                "-ERR key acme/ml/prod is revoked already"
            ),
        ] {
            #expect(machine.answer(line, at: Self.noon) == error)
        }
    }
    /// What was admitted may be settled, whatever becomes of its key.
    @Test(arguments: ["key.revoked", "account.disabled"])
    func `what is under way is settled all the same`(event: String) {
        let machine = ledger()
        let hold = machine.answer("RESERVE s1 openai/gpt-4.1 in=9 out=9 id=r", at: Self.noon)
        _ = machine.answer(#"APPEND \#(event) {"account":"acme/ml/prod"}"#, at: Self.noon)
        #expect(
            machine.answer("RESERVE s1 openai/gpt-4.1 in=9 out=9 id=r", at: Self.noon) == hold,
            "a request sent twice has one answer")
        let name = hold.split(separator: " ")[1]
        #expect(machine.answer("SETTLE \(name) in=9 out=9", at: Self.noon).hasPrefix("+SETTLED"))
        #expect(
            machine.answer("CHARGE s1 openai/gpt-4.1 in=1 out=1 id=c", at: Self.noon)
                .hasPrefix("+CHARGED"))
    }
    @Test(arguments: ["acme/ml/prod", "acme/ml", "acme"])
    func `disabled is refused by the name of who is, until it is enabled`(account: String) {
        let machine = ledger()
        let payload = #"{"account":"\#(account)"}"#
        #expect(machine.answer("APPEND account.enabled \(payload)").hasPrefix("-ERR"))
        #expect(machine.answer("APPEND account.disabled \(payload)").hasPrefix("{"))
        #expect(machine.answer("APPEND account.disabled \(payload)").hasPrefix("-ERR"))
        for key in ["s1", "acme/ml/prod"] {
            #expect(ask(machine, key) == "+DENY 403 key_disabled scope=\(account)")
        }
        #expect(machine.answer("APPEND account.enabled \(payload)").hasPrefix("{"))
        #expect(ask(machine, "s1") == "yes")
    }
    @Test func `the first reason of expired, revoked and disabled is the answer`() {
        let machine = ledger(#","expires_in":60"#)
        _ = machine.answer(#"APPEND account.disabled {"account":"acme"}"#, at: Self.noon)
        #expect(ask(machine, "s1", at: 1) == "+DENY 403 key_disabled scope=acme")
        _ = machine.answer(Self.rotate("s2"), at: Self.noon + Self.second)
        #expect(ask(machine, "s1", at: 1) == Self.revoked)
        #expect(ask(machine, "s2", at: 1) == "+DENY 403 key_disabled scope=acme")
        #expect(ask(machine, "s1", at: 60, nanoseconds: -1) == Self.revoked)
        #expect(ask(machine, "s1", at: 60) == "+DENY 401 key_expired scope=acme/ml/prod")
        #expect(
            machine.answer(Self.rotate("s3"), at: Self.noon + 60 * Self.second)
                .hasPrefix("-ERR key acme/ml/prod has expired at 2026-11-22T12:01:00Z"))
    }
    @Test func `instants of the past are refused`() {
        let machine = ledger()
        for (expires, isTaken) in [
            ("2026-11-22T11:59:59Z", false), ("2026-11-22T12:00:00Z", false),
            ("2026-11-22T12:00:00.000000001Z", true),
        ] {
            let answer = machine.answer(
                #"APPEND key.created {"account":"acme/ml/x","expires":"\#(expires)"}"#,
                at: Self.noon)
            #expect(answer.hasPrefix("{") == isTaken, "\(expires): \(answer)")
        }
    }
    @Test func `a secret is one key's, and never comes back`() {
        let machine = ledger()
        _ = machine.answer(Self.rotate("s2"), at: Self.noon)
        for line in [
            Self.rotate("s1"), Self.rotate("s2"),
            #"APPEND key.created {"account":"acme/ml/other""# + Self.brings("s1") + "}",
        ] {
            #expect(
                machine.answer(line, at: Self.noon)
                    == "-ERR this secret_sha256 is, or was, a key's already; bring another")
        }
    }

    // MARK: Rotations that are due

    @Test func `the daemon says once, at the instant, that a rotation is due`() throws {
        let machine = ledger(#","rotate_every":60"#)
        _ = ask(machine, "s1", at: 60, nanoseconds: -1)
        #expect(try !types(machine).contains(.keyRotationDue))
        _ = ask(machine, "s1", at: 60)
        #expect(try types(machine).last == .keyRotationDue)
        _ = ask(machine, "s1", at: 200)
        #expect(try types(machine).filter { $0 == .keyRotationDue }.count == 1)
        #expect(ask(machine, "s1", at: 200) == "yes", "it is said, and nothing more")
        // A rotation begins the interval anew; null ends it.
        _ = machine.answer(Self.rotate("s2"), at: Self.noon + 210 * Self.second)
        _ = ask(machine, "s2", at: 269)
        #expect(try types(machine).filter { $0 == .keyRotationDue }.count == 1)
        _ = ask(machine, "s2", at: 270)
        #expect(try types(machine).filter { $0 == .keyRotationDue }.count == 2)
        _ = machine.answer(
            Self.rotate("s3", #","rotate_every":null"#), at: Self.noon + 280 * Self.second)
        _ = ask(machine, "s3", at: 9_999)
        #expect(try types(machine).filter { $0 == .keyRotationDue }.count == 2)
    }
    @Test(arguments: [#"APPEND key.revoked {"account":"acme/ml/prod"}"#, ""])
    func `nothing is due of a key that is revoked or expired`(line: String) throws {
        let machine = ledger(#","rotate_every":60"# + (line.isEmpty ? #","expires_in":60"# : ""))
        if !line.isEmpty { _ = machine.answer(line, at: Self.noon) }
        _ = ask(machine, "s1", at: 100)
        #expect(try !types(machine).contains(.keyRotationDue))
    }
    @Test func `a book from a checkpoint knows all of it`() throws {
        let machine = ledger(#","rotate_every":60"#)
        _ = machine.answer(Self.rotate("s2", grace: 30), at: Self.noon)
        _ = machine.answer("RESERVE s2 openai/gpt-4.1 in=1 out=1", at: Self.noon)
        _ = machine.answer(
            #"APPEND account.described {"account":"acme/ml/prod","owner":"ana","labels":{"a":"b"}}"#,
            at: Self.noon)
        var bytes = ByteBuffer()
        machine.withBook { $0.encode(into: &bytes) }
        guard let book = Book(decoding: bytes.bytes) else {
            Issue.record("the checkpoint reads back")
            return
        }
        #expect(book.digest() == machine.digest())
        let other = MachineDriver(book: book)
        #expect(ask(other, "s1", at: 29) == "yes" && ask(other, "s1", at: 30) == Self.revoked)
        _ = ask(other, "s2", at: 60)
        #expect(try types(other).last == .keyRotationDue)
        let shown = try other.account("acme/ml/prod", at: Self.noon + 61 * Self.second)
        #expect(shown["owner"]?.string == "ana" && shown["labels"]?["a"]?.string == "b")
        #expect(shown["last_used"]?.string == "2026-11-22T12:00:00Z")
        #expect(shown["rotated"]?.string == "2026-11-22T12:00:00Z")
        #expect(shown["is_rotation_due"] == .bool(true))
    }

    // MARK: What is shown

    @Test func `GET tells the state, the last use, the spend and what is due`() throws {
        let machine = ledger(#","owner":"bob","expires_in":1000,"rotate_every":60"#)
        var shown = try machine.account("acme/ml/prod", at: Self.noon)
        #expect(shown["state"]?.string == "active" && shown["last_used"]?.isNull == true)
        #expect(shown["disabled"] == .bool(false) && shown["revoked"] == .bool(false))
        #expect(shown["owner"]?.string == "bob" && shown["rotate_every"] == .integer(60))
        _ = machine.answer(
            "CHARGE s1 openai/gpt-4.1 in=100000 out=0 id=c", at: Self.noon + 5 * Self.second)
        _ = machine.answer(Self.rotate("s2", grace: 30), at: Self.noon + 10 * Self.second)
        _ = machine.answer(#"APPEND account.disabled {"account":"acme/ml"}"#)
        shown = try machine.account("acme/ml/prod", at: Self.noon + 20 * Self.second)
        #expect(shown["last_used"]?.string == "2026-11-22T12:00:05Z")
        #expect(shown["spent"]?.string == "1" && shown["spent_month"]?.string == "1")
        #expect(shown["disabled_by"]?.string == "acme/ml")
        #expect(shown["old_secret_until"]?.string == "2026-11-22T12:00:40Z")
        #expect(shown["rotation_due"]?.string == "2026-11-22T12:01:10Z")
        let team = try machine.account("acme/ml", at: Self.noon)
        #expect(team["state"]?.string == "disabled" && team["disabled"] == .bool(true))
        #expect(team["revoked"] == nil, "only a key is ever revoked")
        shown = try machine.account("acme/ml/prod", at: Self.noon + 1_000 * Self.second)
        #expect(shown["state"]?.string == "expired" && shown["old_secret_until"] == nil)
        for event in ["account.disabled", "key.revoked"] {
            _ = machine.answer(#"APPEND \#(event) {"account":"acme/ml/prod"}"#)
        }
        shown = try machine.account("acme/ml/prod", at: Self.noon)
        #expect(shown["state"]?.string == "revoked", "\(shown)")
        #expect(shown["disabled"] == .bool(true) && shown["revoked"] == .bool(true))
    }
    @Test func `a description changes what it names, and null takes it away`() throws {
        let machine = ledger(#","name":"Prod","owner":"bob","environment":"live""#)
        for (payload, name, owner, labels) in [
            (#""owner":"ana""#, "Prod", "ana", "null"),
            (#""labels":{"a":"1","b":"2"}"#, "Prod", "ana", #"{"a":"1","b":"2"}"#),
            (#""name":null,"labels":{"a":null,"c":"3"}"#, nil, "ana", #"{"b":"2","c":"3"}"#),
            (#""labels":null"#, nil, "ana", "null"),
        ] as [(String, String?, String?, String)] {
            #expect(
                machine.answer(
                    #"APPEND account.described {"account":"acme/ml/prod",\#(payload)}"#
                ).hasPrefix("{"))
            let shown = try machine.account("acme/ml/prod", at: Self.noon)
            #expect(shown["name"]?.string == name && shown["owner"]?.string == owner)
            #expect(shown["environment"]?.string == "live")
            var text = ByteBuffer()
            text.append(canonical: shown["labels"] ?? .null)
            #expect(text.string == labels)
        }
    }
}
