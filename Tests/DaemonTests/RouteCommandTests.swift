import Events
import Foundation
import TestSupport
import Testing

@testable import tollgate

/// `tollgate route` and the model `auto` against a daemon: the guide's rules for a team of internal tools.
@Suite struct `the route commands` {
    private let daemon: RunningDaemon
    private static let team = "acme/internal-tools"
    private static let key = "acme/internal-tools/bot"

    init() throws {
        daemon = try RunningDaemon()
        try daemon.ok("org", "create", "acme")
        try daemon.ok("team", "create", Self.team)
        try daemon.ok("key", "create", Self.key)
        for (model, price, more) in [
            ("openai/gpt-4.1", "8", ["--capabilities", "coding"]),
            ("anthropic/claude-sonnet-4.5", "15", ["--capabilities", "coding"]),
            ("google/gemini-2.5-flash", "2.5", []),
            ("deepseek/deepseek-v3.2", "0.42", ["--context", "64000", "--max-out", "8000"]),
        ] {
            let run = try Program.run(
                ["price", "set", model, "--in", price, "--out", price] + more,
                ["TOLLGATE_DATA": daemon.data.path])
            #expect(run.status == 0, "\(run.errors)")
            try daemon.ok("alias", "set", String(model.split(separator: "/")[1]), model)
        }
    }
    private func setGuide() throws {
        let rules = [
            "name=simple-summaries,out=500,prompt=summarize|brief|tl;dr,temperature=0.3,"
                + "model=deepseek-v3.2",
            "name=code-generation,prompt=write code|implement|function,capability=coding,"
                + "model=gpt-4.1,fallback=claude-sonnet-4.5",
            "name=batch-processing,batch=yes,priority=background,model=gemini-2.5-flash",
        ]
        let run = try Program.run(
            ["route", "set", Self.team, "--fallback", "gpt-4.1"]
                + rules.flatMap { ["--rule", $0] },
            ["TOLLGATE_DATA": daemon.data.path])
        #expect(run.status == 0, "\(run.errors)")
    }
    private func json(_ words: String...) throws -> JSON {
        let run = try Program.run(words + ["--json"], ["TOLLGATE_DATA": daemon.data.path])
        #expect(run.status == 0, "\(words): \(run.errors)")
        return try JSON(reply: run.output)
    }

    @Test func `requests go where the guide sends them`() throws {
        try setGuide()
        for (asked, model, rule, saved) in [
            (
                "in=1250 temperature=0.3 out=500 prompt=\"Summarize this: xxxxx\"",
                "deepseek/deepseek-v3.2", "simple-summaries", "0.013265"
            ),
            (
                "in=1000 out=500 capability=coding prompt=\"Implement a parser\"", "openai/gpt-4.1",
                "code-generation", "0"
            ),
            (
                "in=1000 out=500 batch=1 priority=background", "google/gemini-2.5-flash",
                "batch-processing", "0.00825"
            ),
            ("in=1000 out=500", "openai/gpt-4.1", "fallback", "0"),
        ] {
            let answer = try daemon.ok("call", "RESERVE \(Self.key) auto \(asked)").output
            #expect(answer.hasPrefix("ALLOW ") || answer.hasPrefix("+ALLOW "), "\(answer)")
            for word in ["model=\(model)", "rule=\(rule)", "saved=\(saved)"] {
                #expect(
                    answer.split { $0.isWhitespace }.contains { $0 == word }, "\(asked): \(answer)")
            }
            let event = try json("events", "--type", "hold.placed", "--last", "1")
            #expect(event["asked_model"] == .string("auto") && event["model"] == .string(model))
            #expect(event["rule"] == .string(rule) && event["saved"] == .string(saved))
        }
        let rows = try daemon.ok("events", "--type", "hold.placed", "--last", "1").lines
        #expect(rows.contains { $0.contains("rule=fallback saved=0") }, "\(rows)")
    }
    @Test func `a test shows the way step by step, and holds nothing`() throws {
        try setGuide()
        try daemon.ok("permissions", "set", Self.key, "--models", "openai/*,anthropic/*")
        let request = ["in=1000", "out=500", "batch=1", "priority=background"]
        let run = try Program.run(
            ["route", "test", Self.key] + request, ["TOLLGATE_DATA": daemon.data.path])
        #expect(run.status == 0, "\(run.errors)")
        let steps = run.lines.drop { !$0.hasPrefix("STEP") && !$0.contains("STEP ") }.dropFirst()
            .map { $0.split(separator: " ").joined(separator: " ") }
        #expect(
            steps == [
                "1 simple-summaries - temperature= is not given, or is more than 0.3",
                "2 code-generation - prompt= has none of its words",
                "3 batch-processing matches every condition is met",
                "4 google/gemini-2.5-flash passed over it is not in \(Self.key)'s list of models",
                "5 fallback openai/gpt-4.1 chosen no rule has chosen a model",
            ], "\(run.output)")
        let decision = try json("route", "test", Self.key, "in=1000", "out=500")
        #expect(decision["routing"]?["rule"] == .string("fallback"))
        #expect(decision["routing"]?["steps"]?.array?.count == 4)
        #expect(try json("usage", Self.key)["open_holds"] == .integer(0))
    }
    @Test func `rules are shown as they were set, and taken away`() throws {
        try setGuide()
        for account in [Self.team, Self.key] {
            let shown = try json("route", "show", account)
            #expect(shown["account"] == .string(Self.team))
            #expect(shown["routing"]?["fallback"] == .string("openai/gpt-4.1"))
            #expect(
                shown["routing"]?["rules"]?.array?.map { $0.cell("name") } == [
                    "simple-summaries", "code-generation", "batch-processing",
                ])
        }
        // What is shown can be set again: the same rules, for the org.
        let shown = try #require(try json("route", "show", Self.team)["routing"])
        let file = daemon.data.file("routing.json", shown.compact)
        try daemon.ok("route", "clear", Self.team)
        #expect(try json("route", "show", Self.team) == .null)
        try daemon.ok("route", "set", "acme", "--file", file)
        let again = try json("route", "show", Self.key)
        #expect(again["account"] == .string("acme") && again["routing"] == shown)
        let rows = try daemon.ok("route", "show", Self.key).lines
        #expect(rows.contains { $0.hasPrefix("batch-processing ") }, "\(rows)")

        try daemon.ok("route", "clear", "acme")
        let none = try daemon.run("route", "test", Self.key, "in=1")
        #expect(none.status == 1 && none.errors.contains("append routing.set for"), "\(none)")
    }
    @Test(
        arguments: [
            (["--fallback", "gpt-4.1", "--rule", "name=x,out=5"], 1, "rule \"x\" needs \"model\""),
            (["--rule", "name=x,out=5,model=gpt-4.1"], 64, "say --fallback"),
            (["--fallback", "gpt-4.1", "--file", "/none"], 64, "not both"),
            (["--file", "/none"], 66, "cannot read /none"),
            (["--fallback", "gpt-4.1", "--rule", "name=x,out"], 64, "\"out\" is no name=value"),
            (
                ["--fallback", "gpt-4.1", "--rule", "name=x,max=5,model=gpt-4.1"], 64,
                "there is no \"max\""
            ),
            (
                ["--fallback", "gpt-4.1", "--rule", "name=x,batch=maybe,model=gpt-4.1"], 64,
                "say yes or no"
            ),
            (
                ["--fallback", "gpt-4.1", "--rule", "name=x,in=-1,model=gpt-4.1"], 64,
                "\"-1\" is no number of tokens"
            ),
            (["--fallback", "nobody/knows"], 1, "cannot route to [nobody/knows]"),
        ] as [([String], Int32, String)])
    func `mistakes are named`(words: [String], status: Int32, says: String) throws {
        let run = try Program.run(
            ["route", "set", Self.team] + words, ["TOLLGATE_DATA": daemon.data.path])
        #expect(run.status == status && run.errors.contains(says), "\(run.status) \(run.errors)")
    }
}
