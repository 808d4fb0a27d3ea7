import Events
import Testing

/// A validator for the part of JSON Schema 2020-12 that `schemas/` uses.
///
/// A keyword it does not know is an error: a rule that nothing checks would be a rumour.
final class SchemaSet {
    private var documents: [String: JSON] = [:]

    /// A schema file by its path below `schemas/`.
    func document(_ path: String) throws -> JSON {
        if let known = documents[path] { return known }
        let parsed = try JSON(try Repository.text("schemas/" + path))
        documents[path] = parsed
        return parsed
    }
    /// Everything that is wrong with the value; empty when it obeys the schema.
    func errors(_ value: JSON, _ path: String) throws -> [String] {
        var errors: [String] = []
        try check(value, Place(file: path, schema: document(path)), "$", &errors)
        return errors
    }

    func errors(_ value: JSON, inline schema: JSON) throws -> [String] {
        var errors: [String] = []
        try check(value, Place(file: "inline", schema: schema), "$", &errors)
        return errors
    }

    private struct Place {
        var file: String
        var schema: JSON
        func with(_ schema: JSON) -> Place { Place(file: file, schema: schema) }
    }
    private struct BadSchema: Error, CustomStringConvertible { var description: String }

    private func resolve(_ reference: String, from file: String) throws -> Place {
        let parts = reference.split(separator: "#", omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw BadSchema(description: "$ref \(reference)") }
        var target = file
        if !parts[0].isEmpty {
            var folders = file.split(separator: "/").dropLast().map(String.init)
            for step in parts[0].split(separator: "/") {
                if step == ".." { folders.removeLast() } else { folders.append(String(step)) }
            }
            target = folders.joined(separator: "/")
        }
        var schema = try document(target)
        for name in parts[1].split(separator: "/") {
            guard let inner = schema[String(name)] else {
                throw BadSchema(description: "\(file): $ref \(reference) leads nowhere")
            }
            schema = inner
        }
        return Place(file: target, schema: schema)
    }

    private func isValid(_ value: JSON, _ place: Place) throws -> Bool {
        var errors: [String] = []
        try check(value, place, "$", &errors)
        return errors.isEmpty
    }
    private func check(
        _ value: JSON, _ place: Place, _ at: String, _ errors: inout [String]
    ) throws {
        if case .bool(let allows) = place.schema {
            if !allows { errors.append("\(at) must not be there") }
            return
        }
        guard let rules = place.schema.members else {
            throw BadSchema(description: "\(place.file): a schema is an object or a boolean")
        }
        for rule in rules { try check(value, rule, place, at, &errors) }
    }

    private func check(
        _ value: JSON, _ rule: JSON.Member, _ place: Place, _ at: String, _ errors: inout [String]
    ) throws {
        func require(_ condition: Bool, _ what: String) {
            if !condition { errors.append("\(at): \(what)") }
        }
        func places() -> [Place] { (rule.value.array ?? []).map(place.with) }
        switch rule.name {
        case "$schema", "$id", "$defs", "title", "description": break
        case "$ref":
            try check(value, resolve(rule.value.string ?? "", from: place.file), at, &errors)
        case "type":
            let types = rule.value.array?.compactMap(\.string) ?? [rule.value.string ?? ""]
            require(types.contains { value.isOf(type: $0) }, "is not \(types)")
        case "const": require(value == rule.value, "is not \(rule.value.canonical)")
        case "enum": require(rule.value.array!.contains(value), "is none of the listed values")
        case "pattern":
            guard let text = value.string else { break }
            let pattern = try Regex(rule.value.string ?? "")
            require(text.contains(pattern), "\"\(text)\" does not match \(rule.value.canonical)")
        case "minLength", "maxLength":
            guard let text = value.string, let bound = rule.value.integer else { break }
            let length = Int64(text.unicodeScalars.count)
            require(rule.name == "minLength" ? length >= bound : length <= bound, rule.name)
        case "minimum", "maximum":
            guard let number = value.integer, let bound = rule.value.integer else { break }
            require(rule.name == "minimum" ? number >= bound : number <= bound, rule.name)
        case "items":
            for (i, item) in (value.array ?? []).enumerated() {
                try check(item, place.with(rule.value), "\(at)[\(i)]", &errors)
            }
        case "maxItems":
            if let items = value.array { require(items.count <= rule.value.integer!, rule.name) }
        case "minProperties", "maxProperties":
            guard let members = value.members, let bound = rule.value.integer else { break }
            let count = Int64(members.count)
            require(rule.name == "minProperties" ? count >= bound : count <= bound, rule.name)
        case "propertyNames":
            for member in value.members ?? [] {
                try check(.string(member.name), place.with(rule.value), "\(at) names", &errors)
            }
        case "required":
            guard value.members != nil else { break }
            for name in rule.value.array ?? [] {
                require(value[name.string!] != nil, "\(name.string!) is missing")
            }
        case "dependentRequired":
            for member in rule.value.members! where value[member.name] != nil {
                for name in member.value.array! {
                    require(value[name.string!] != nil, "\(member.name) needs \(name.string!)")
                }
            }
        case "properties":
            for member in rule.value.members! {
                guard let inner = value[member.name] else { continue }
                try check(inner, place.with(member.value), "\(at).\(member.name)", &errors)
            }
        case "additionalProperties":
            let known = Set((place.schema["properties"]?.members ?? []).map(\.name))
            for member in value.members ?? [] where !known.contains(member.name) {
                try check(member.value, place.with(rule.value), "\(at).\(member.name)", &errors)
            }
        case "anyOf":
            require(try places().contains { try isValid(value, $0) }, "fits none of anyOf")
        case "oneOf":
            let fitting = try places().filter { try isValid(value, $0) }
            require(fitting.count == 1, "fits \(fitting.count) of oneOf")
        case "allOf": for inner in places() { try check(value, inner, at, &errors) }
        case "not": require(try !isValid(value, place.with(rule.value)), "is what it must not be")
        default: throw BadSchema(description: "\(place.file): unknown keyword \(rule.name)")
        }
    }
}

extension JSON {
    fileprivate func isOf(type: String) -> Bool {
        switch (self, type) {
        case (.null, "null"), (.bool, "boolean"), (.string, "string"), (.array, "array"),
            (.object, "object"), (.number, "number"):
            true
        case (.number, "integer"): integer != nil
        default: false
        }
    }
}

@Suite struct `The schema validator` {
    @Test(arguments: [
        ("1", false), ("\"a\"", false), ("{\"seq\":1}", false), ("[]", false), ("null", false),
    ])
    func `refuses what is no event`(text: String, isValid: Bool) throws {
        #expect(try SchemaSet().errors(JSON(text), "events/hold.released.json").isEmpty == isValid)
    }
    @Test func `knows every keyword of every schema`() throws {
        for folder in ["events", "payloads"] {
            for file in try Repository.files("schemas/" + folder) {
                try walk(SchemaSet().document("\(folder)/\(file)"), file)
            }
        }
    }
    private func walk(_ schema: JSON, _ file: String) throws {
        guard let rules = schema.members else { return }
        for rule in rules {
            switch rule.name {
            case "properties", "$defs":
                for member in rule.value.members! { try walk(member.value, file) }
            case "items", "additionalProperties", "propertyNames", "not": try walk(rule.value, file)
            case "anyOf", "oneOf", "allOf":
                for inner in rule.value.array! { try walk(inner, file) }
            default:
                // Applied alone: a keyword that the validator does not know throws.
                guard rule.name != "$ref" else { continue }
                _ = try SchemaSet().errors(.object([]), inline: .object([rule]))
            }
        }
    }
}
