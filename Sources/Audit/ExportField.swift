import Events

/// What an export can say of an event. Without a choice it says all, in this order, which never changes:
/// new fields come at the end. `schemas/export.md` describes each.
package enum ExportField: UInt8, CaseIterable, Sendable {
    case seq, timestamp, type, action
    case key, keyName, org, team, user, project, environment
    case resourceType, resourceID, model, tier
    case inputTokens, outputTokens, cachedTokens, cacheWriteTokens, reasoningTokens
    case cost, replaced, billed, currency
    case outcome, latency
    case askedInputTokens, askedOutputTokens, askedCost
    case status, reason, scope, limit, count
    case hold, requestID, ip, userAgent
    case actor, epoch, price, details
    case replacedBilled, replacedCurrency

    package var name: StaticString {
        switch self {
        case .seq: "seq"
        case .timestamp: "timestamp"
        case .type: "type"
        case .action: "action"
        case .key: "key"
        case .keyName: "key_name"
        case .org: "org"
        case .team: "team"
        case .user: "user"
        case .project: "project"
        case .environment: "environment"
        case .resourceType: "resource_type"
        case .resourceID: "resource_id"
        case .model: "model"
        case .tier: "tier"
        case .inputTokens: "input_tokens"
        case .outputTokens: "output_tokens"
        case .cachedTokens: "cached_tokens"
        case .cacheWriteTokens: "cache_write_tokens"
        case .reasoningTokens: "reasoning_tokens"
        case .cost: "cost_usd"
        case .replaced: "replaced_usd"
        case .billed: "billed"
        case .currency: "currency"
        case .outcome: "outcome"
        case .latency: "latency_ms"
        case .askedInputTokens: "asked_input_tokens"
        case .askedOutputTokens: "asked_output_tokens"
        case .askedCost: "asked_usd"
        case .status: "status"
        case .reason: "reason"
        case .scope: "scope"
        case .limit: "limit"
        case .count: "count"
        case .hold: "hold"
        case .requestID: "request_id"
        case .ip: "ip"
        case .userAgent: "user_agent"
        case .actor: "actor"
        case .epoch: "epoch"
        case .price: "price_version"
        case .details: "details"
        case .replacedBilled: "replaced_billed"
        case .replacedCurrency: "replaced_currency"
        }
    }
    /// What other products call it; a field chosen by such a name is written under it.
    private static let aliases: [(StaticString, ExportField)] = [
        ("time", .timestamp), ("api_key_id", .key), ("user_email", .user),
        ("resource", .resourceID),
        ("ip_address", .ip), ("cost", .cost),
    ]

    /// A chosen field, and the name under which it is written.
    package struct Column: Sendable {
        package let field: ExportField
        package let name: StaticString
    }
    package static let columns = allCases.map { Column(field: $0, name: $0.name) }

    /// Reads field names separated by commas.
    package static func columns(_ text: String) throws(AuditFailure) -> [Column] {
        var columns: [Column] = []
        var unknown: [String] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let word = String(part.filter { $0 != " " })
            guard let column = column(word) else {
                unknown.append("\"\(word)\"")
                continue
            }
            guard !columns.contains(where: { $0.field == column.field }) else {
                throw AuditFailure(.usage, "the field \(column.field.name) is named twice")
            }
            columns.append(column)
        }
        guard unknown.isEmpty else {
            throw AuditFailure(
                .usage,
                "there is no field \(unknown.joined(separator: ", ")): the fields are "
                    + allCases.map { "\($0.name)" }.joined(separator: ", "))
        }
        return columns
    }
    private static func column(_ word: String) -> Column? {
        word.withBytes { word in
            if let field = allCases.first(where: { word == $0.name }) {
                return Column(field: field, name: field.name)
            }
            return aliases.first { word == $0.0 }.map { Column(field: $0.1, name: $0.0) }
        }
    }
}
