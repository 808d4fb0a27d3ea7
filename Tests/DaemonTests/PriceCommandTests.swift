import Events
import Foundation
import TestSupport
import Testing

@testable import tollgate

/// `tollgate price` against a daemon: what a file would change, and what past charges should have cost.
@Suite struct `the price commands` {
    private let daemon: RunningDaemon

    init() throws { daemon = try RunningDaemon() }

    private func file(_ prices: String) -> String {
        daemon.data.file(
            "prices.json",
            #"{"gpt-x":{"mode":"chat","litellm_provider":"openai",\#(prices)}}"#)
    }
    private func json(_ words: String...) throws -> JSON {
        let run = try Program.run(words + ["--json"], ["TOLLGATE_DATA": daemon.data.path])
        #expect(run.status == 0, "\(words): \(run.errors)")
        return try JSON(reply: run.output)
    }

    @Test func `a file is compared before it is imported`() throws {
        let first = file(#""input_cost_per_token":2e-06,"output_cost_per_token":8e-06"#)
        #expect(try json("price", "diff", first)["new"] == .strings(["openai/gpt-x"]))
        try daemon.ok("price", "import", first)
        let none = try json("price", "diff", first)
        #expect(none["changed"] == .array([]) && none["unchanged"] == .integer(1))
        let second = file(
            #""input_cost_per_token":3e-06,"output_cost_per_token":8e-06,"supports_vision":true"#)
        let changed = try json("price", "diff", second)["changed"]?.array
        #expect(
            changed?.map(\.compact) == [
                #"{"model":"openai/gpt-x","changes":["#
                    + #"{"what":"in","now":"2","file":"3","needs_force":false},"#
                    + #"{"what":"cached","now":"2","file":"3","needs_force":false},"#
                    + #"{"what":"cache_write","now":"2","file":"3","needs_force":false},"#
                    + #"{"what":"capability","now":"none","file":"vision","needs_force":false}]}"#
            ])
        let rows = try daemon.ok("price", "diff", second).lines
        #expect(
            rows.count == 5 && rows[1].split(separator: " ") == ["openai/gpt-x", "in", "2", "3"])
        // Comparing changed nothing.
        #expect(try json("price", "show", "openai/gpt-x")["version"] == .integer(1))
    }
    @Test func `a slip of the decimal point imports nothing unless forced`() throws {
        try daemon.ok(
            "price", "import",
            file(#""input_cost_per_token":2e-06,"output_cost_per_token":8e-06"#))
        let slip = file(#""input_cost_per_token":2e-09,"output_cost_per_token":8e-06"#)
        let refused = try daemon.run("price", "import", slip)
        #expect(refused.status == 65)
        #expect(refused.errors.contains("openai/gpt-x: in 2 → 0.002"))
        #expect(try json("price", "show", "openai/gpt-x")["in"] == .string("2"))
        try daemon.ok("price", "import", slip, "--force")
        #expect(try json("price", "show", "openai/gpt-x")["in"] == .string("0.002"))
        let set = try daemon.run("price", "set", "openai/gpt-x", "--in", "2", "--out", "8")
        #expect(set.status == 1 && set.errors.contains("hundredfold"))
        try daemon.ok("price", "set", "openai/gpt-x", "--in", "2", "--out", "8", "--force")
    }
    @Test func `a price may begin later, and its history says when`() throws {
        try daemon.ok("price", "set", "a/b", "--in", "1", "--out", "1")
        try daemon.ok(
            "price", "set", "a/b", "--in", "2", "--out", "2", "--from", "2150-01-01T00:00:00Z",
            "--capabilities", "vision, tools")
        let rows = try daemon.ok("price", "history", "a/b").lines
        #expect(rows.count == 3)
        #expect(rows[1].contains("in force") && rows[2].contains("2150-01-01T00:00:00Z  scheduled"))
        #expect(try json("price", "show", "a/b")["in"] == .string("1"))
        let past = try daemon.run(
            "price", "set", "a/b", "--in", "2", "--out", "2", "--from", "2020-01-01T00:00:00Z")
        #expect(past.status == 1 && past.errors.contains("is past"))
    }

    // MARK: Past charges

    /// A key, a wrong price, and under it a settlement, a charge, and one that was corrected by hand.
    private func spend() throws -> (hold: String, charge: String, bill: String) {
        for words in [
            ["org", "create", "acme"], ["team", "create", "acme/ml"],
            ["key", "create", "acme/ml/prod"], ["price", "set", "a/b", "--in", "2", "--out", "4"],
        ] {
            let run = try Program.run(words, ["TOLLGATE_DATA": daemon.data.path])
            #expect(run.status == 0, "\(run.errors)")
        }
        func call(_ line: String) throws -> String {
            String(try daemon.ok("call", line).output.split(separator: " ")[1])
        }
        let hold = try call("RESERVE acme/ml/prod a/b in=1000 out=1000")
        _ = try call("SETTLE \(hold) in=1000 out=500")
        let charge = try call("CHARGE acme/ml/prod a/b in=2000 out=0 id=c1")
        let bill = try call("CHARGE acme/ml/prod a/b in=2000 out=0 id=c2")
        try daemon.ok("price", "correct", "acme/ml/prod", bill, "0.0041", "--id", "bill-1")
        return (hold, charge, bill)
    }
    private func spent() throws -> String? {
        try json("usage", "acme")["limits"]?["usd.total"]?["used"]?.string
    }

    @Test func `past charges are rated anew, once`() throws {
        let (hold, charge, _) = try spend()
        #expect(try spent() == "0.0121")
        try daemon.ok("price", "set", "a/b", "--in", "1", "--out", "4")

        let plan = try json("price", "rerate", "--from", "2020-01-01T00:00:00Z", "--dry-run")
        #expect(
            plan["total"]?.compact
                == #"{"charges":2,"changed":2,"now":"0.008","right":"0.005","difference":"-0.003"}"#
        )
        #expect(plan["corrected_by_hand"] == .integer(1))
        #expect(plan["orgs"]?["acme"]?["changed"] == .integer(2))
        #expect(plan["models"]?["a/b"]?["version"] == .integer(2))
        #expect(
            plan["charges"]?.array?.map {
                "\($0.cell("charge")) \($0.cell("was")) \($0.cell("usd"))"
            }
                == ["\(hold) 0.004 0.003", "\(charge) 0.004 0.002"])
        #expect(try spent() == "0.0121", "a dry run changes nothing")

        let unasked = try Program.run(
            ["price", "rerate", "--from", "2020-01-01T00:00:00Z"],
            ["TOLLGATE_DATA": daemon.data.path])
        #expect(unasked.status == 64 && unasked.errors.contains("say --yes"), "\(unasked.errors)")
        #expect(try spent() == "0.0121", "nobody has said yes")

        let table = try daemon.ok(
            "price", "rerate", "--from", "2020-01-01T00:00:00Z", "--yes", "--charges", "--reason",
            "the list"
        )
        #expect(table.lines.contains { $0.hasPrefix("model a/b ") && $0.hasSuffix("-0.003") })
        #expect(table.errors.contains("2 corrections appended"))
        #expect(try spent() == "0.0091")
        let event = try json("events", "--type", "charge.corrected", "--last", "1")
        #expect(event["price"] == .integer(2) && event["reason"] == .string("the list"))

        let again = try json("price", "rerate", "--from", "2020-01-01T00:00:00Z")
        #expect(again["total"]?["changed"] == .integer(0))
        #expect(try spent() == "0.0091")
        // Back to the first price, and forth again: each time it is work of its own.
        for (version, expected) in [("1", "0.0121"), ("2", "0.0091"), ("1", "0.0121")] {
            try daemon.ok(
                "price", "rerate", "--from", "2020-01-01T00:00:00Z", "--model", "a/b", "--version",
                version, "--yes")
            #expect(try spent() == expected)
        }
    }
    @Test func `only what was charged in the time, for the model and the account is rated anew`()
        throws
    {
        _ = try spend()
        try daemon.ok("price", "set", "a/b", "--in", "1", "--out", "4")
        let early = try json(
            "price", "rerate", "--from", "2020-01-01T00:00:00Z", "--to", "2020-02-01T00:00:00Z")
        #expect(early["total"]?["charges"] == .integer(0))
        // What is not there is not taken for nothing to do; an alias and capitals are what they mean.
        for (words, says) in [
            (["--model", "a/c"], "no price for"), (["--account", "acme/none"], "no account"),
            (["--model", "a/b", "--version", "99"], "version"),
        ] {
            let run = try Program.run(
                ["price", "rerate", "--from", "2020-01-01T00:00:00Z"] + words,
                ["TOLLGATE_DATA": daemon.data.path])
            #expect(run.status == 1 && run.errors.contains(says), "\(words): \(run.errors)")
        }
        try daemon.ok("alias", "set", "short", "a/b")
        for name in ["short", "A/B"] {
            let named = try json(
                "price", "rerate", "--from", "2020-01-01T00:00:00Z", "--model", name, "--dry-run")
            #expect(named["total"]?["changed"]?.integer ?? 0 > 0, "\(name): \(named)")
        }
        let later = try json("price", "rerate", "--from", "2150-01-01T00:00:00Z", "--dry-run")
        #expect(later["total"]?["charges"] == .integer(0))
        for (words, says) in [
            (["--from", "yesterday"], "no instant"),
            (["--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"], "is not after"),
            (["--from", "2026-01-02T00:00:00Z", "--version", "2"], "say --model"),
        ] {
            let run = try Program.run(
                ["price", "rerate"] + words, ["TOLLGATE_DATA": daemon.data.path])
            #expect(run.status == 64 && run.errors.contains(says), "\(words): \(run.errors)")
        }
    }
    @Test func `a correction wants an id`() throws {
        let run = try daemon.run("price", "correct", "acme/ml/prod", "1-7", "0")
        #expect(run.status == 64 && run.errors.contains("say --id"))
    }
}
