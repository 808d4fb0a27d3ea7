import Events
import Foundation
import TestSupport
import Testing

@testable import tollgate

/// What is taken of LiteLLM's price file. The entries are cut from its version 1.109.1 (MIT licence).
@Suite struct `an entry of a price file` {
    private static func entries(
        _ text: String, takesFree: Bool = false
    ) throws -> [(name: String, entry: LiteLLMPrices.Entry)] {
        try LiteLLMPrices.entries(try JSON(reply: text), takesFree: takesFree)
    }
    private static let provider = #""litellm_provider":"openai""#
    private static let chat = #""mode":"chat",\#(provider)"#
    private static let priced = #""input_cost_per_token":2e-06,"output_cost_per_token":8e-06"#

    /// An entry's name and fields, and the price that is set for it.
    @Test(
        arguments: [
            // A bare name is its provider's, in lower case.
            (
                "GPT-4.1",
                #"\#(chat),\#(priced),"max_input_tokens":1047576,"max_output_tokens":32768,"#
                    + #""supports_vision":true,"supports_web_search":false,"supports_pdf_input":true"#,
                #"{"model":"openai/gpt-4.1","in":"2","out":"8","max_out":32768,"context":1047576,"#
                    + #""capabilities":["pdf_input","vision"]}"#
            ),
            (
                "azure/eu/GPT-4.1", #""mode":"responses",\#(priced)"#,
                #"{"model":"azure/eu/gpt-4.1","in":"2","out":"8","capabilities":["responses"]}"#
            ),
            // Classes, service tiers, sizes of the prompt, and both at once: what a variant leaves out is the
            // dearer of what its tier and its size cost.
            (
                "x/classes",
                #"\#(chat),\#(priced),"cache_read_input_token_cost":5e-07,"#
                    + #""cache_creation_input_token_cost":2.5e-06,"output_cost_per_reasoning_token":9e-06"#,
                #"{"model":"x/classes","in":"2","out":"8","cached":"0.5","cache_write":"2.5","reasoning":"9"}"#
            ),
            (
                "x/variants",
                #"\#(chat),\#(priced),"input_cost_per_token_batches":1e-06,"#
                    + #""output_cost_per_token_above_272k_tokens":1.2e-05,"#
                    + #""input_cost_per_token_above_272k_tokens_priority":7e-06"#,
                #"{"model":"x/variants","in":"2","out":"8","variants":["#
                    + #"{"above":272000,"in":"2","out":"12"},{"tier":"batch","in":"1","out":"8"},"#
                    + #"{"tier":"priority","above":272000,"in":"7","out":"12"}]}"#
            ),
            // Ranges of the prompt, with the first one's price given apart or not.
            (
                "x/ranges",
                #"\#(chat),"tiered_pricing":[{"range":[0,256000.0],\#(priced)},"#
                    + #"{"range":[256000.0,1000000.0],"input_cost_per_token":6e-06,"output_cost_per_token":2.4e-05}]"#,
                #"{"model":"x/ranges","in":"2","out":"8","variants":[{"above":256000,"in":"6","out":"24"}]}"#
            ),
            (
                "x/ranges-too",
                #"\#(chat),\#(priced),"tiered_pricing":[{"range":[0,272000],"input_cost_per_token":1e-06},"#
                    + #"{"range":[272000,1050000],"input_cost_per_token":4e-06,"output_cost_per_token":1.2e-05}]"#,
                #"{"model":"x/ranges-too","in":"2","out":"8","variants":[{"above":272000,"in":"4","out":"12"}]}"#
            ),
            (
                "perplexity/sonar-small-online",
                #"\#(chat),"input_cost_per_request":0.005,"input_cost_per_token":0,"output_cost_per_token":2.8e-07"#,
                #"{"model":"perplexity/sonar-small-online","in":"0","out":"0.28","request":"0.005"}"#
            ),
            // An embedding answers with no tokens; so do those that only judge.
            (
                "text-embedding-3",
                #""mode":"embedding",\#(provider),"input_cost_per_token":2e-08"#,
                #"{"model":"openai/text-embedding-3","in":"0.02","out":"0","capabilities":["embedding"]}"#
            ),
            (
                "voyage/rerank-2",
                #""mode":"rerank","input_cost_per_token":5e-08,"output_cost_per_token":0.0"#,
                #"{"model":"voyage/rerank-2","in":"0.05","out":"0","capabilities":["rerank"]}"#
            ),
        ])
    func `is taken with all its prices`(name: String, fields: String, payload: String) throws {
        guard case .taken(let offer) = try Self.entries("{\"\(name)\":{\(fields)}}")[0].entry else {
            Issue.record("\(name) is skipped")
            return
        }
        #expect(offer.payload.compact == payload)
        #expect(offer.alias == (name.contains("/") ? nil : name.lowercased()))
    }

    @Test(
        arguments: [
            ("x/y", #""mode":"image_generation",\#(priced)"#, "mode image_generation"),
            ("x/y", priced, "no mode"),
            ("bare", #""mode":"chat",\#(priced)"#, "no provider"),
            ("x/*", #"\#(chat),\#(priced)"#, "the name has characters that no model name may have"),
            ("x/y", #"\#(chat),"output_cost_per_token":1e-06"#, "no input price a token"),
            ("x/y", #"\#(chat),"input_cost_per_token":1e-06"#, "no output price a token"),
            (
                "x/y", #"\#(chat),"input_cost_per_token":-1e-06,"output_cost_per_token":0"#,
                "a price is no decimal number"
            ),
            (
                "x/y", #"\#(chat),\#(priced),"cache_read_input_token_cost":-1"#,
                "a price is no decimal number"
            ),
            (
                "x/y", #"\#(chat),\#(priced),"cache_read_input_token_cost":"1e-07""#,
                "a price is no decimal number"
            ),
            (
                "x/y", #"\#(chat),"input_cost_per_token":0.0,"output_cost_per_token":0"#,
                "priced at zero, free or unknown (take them with --with-free)"
            ),
            (
                "x/y",
                #""mode":"rerank","input_cost_per_token":0.0,"output_cost_per_token":0,"input_cost_per_query":0.002"#,
                "priced by the query, image or second, not by tokens"
            ),
        ])
    func `is skipped for a reason`(name: String, fields: String, reason: String) throws {
        let file = "{\"\(name)\":{\(fields)},\"z\":{\"mode\":\"ocr\"}}"
        guard case .skipped(let why) = try Self.entries(file)[0].entry else {
            Issue.record("\(name) is taken")
            return
        }
        #expect(why == reason)
    }

    @Test func `names what the price book has no place for`() throws {
        let fields =
            #"\#(Self.chat),\#(Self.priced),"input_cost_per_audio_token":4e-05,"search_context_cost_per_query":{"#
            + #""search_context_size_low":0.03},"input_cost_per_token_ultrafast":9e-06,"input_cost_per_image":0"#
        guard case .taken(let offer) = try Self.entries("{\"x/y\":{\(fields)}}")[0].entry else {
            Issue.record("it is skipped")
            return
        }
        #expect(
            offer.leftOut == [
                "input_cost_per_audio_token", "search_context_cost_per_query",
                "input_cost_per_token_ultrafast",
            ])
    }

    /// All of the real file.
    private static let whole = SharedData.path("litellm-model-prices.json")

    @Test(.enabled(if: FileManager.default.fileExists(atPath: whole), "\(whole) is not here"))
    func `with a price a token is never skipped in silence`() throws {
        let text = try String(contentsOfFile: Self.whole, encoding: .utf8)
        let file = try JSON(reply: text)
        var taken: [String: JSON] = [:]
        var reasons: Set<String> = []
        for (name, entry) in try LiteLLMPrices.entries(file, takesFree: false) {
            switch entry {
            case .taken(let offer): taken[name] = offer.payload
            case .skipped(let why): reasons.insert(why)
            }
        }
        #expect(taken.count > 3_000 && reasons.count < 30)
        for member in file.members ?? [] {
            let (name, fields) = (member.name, member.value)
            // What chats has a price, and no part of it for long prompts is lost.
            guard fields["mode"] == .string("chat"), !name.contains("*"),
                case .number(let input)? = fields["input_cost_per_token"], Double(input)! > 0,
                fields["output_cost_per_token"] != nil
            else { continue }
            let sizes = Set<Int64>(
                (fields["tiered_pricing"]?.array ?? []).compactMap { $0["range"]?.array?.first }
                    .compactMap { start in
                        guard case .number(let text) = start else { return nil }
                        return Decimal10.scaled(text, by: 0)?.value
                    }.filter { $0 > 0 })
            let variants = Set(
                (taken[name]?["variants"]?.array ?? []).compactMap { $0["above"]?.integer })
            #expect(taken[name] != nil && sizes.isSubset(of: variants), "\(name)")
        }
    }
}
