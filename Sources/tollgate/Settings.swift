import Configuration
import Events
import Foundation

/// A setting: `--ring-mib`, `TOLLGATE_RING_MIB`, or `"ring_mib"` in the config file.
enum Setting: String, CaseIterable {
    case data
    case socket
    case tcp
    case user
    case ringMebibytes = "ring_mib"
    case mapGibibytes = "map_gib"
    case pauseBelowMebibytes = "pause_below_mib"
    case lingerMicroseconds = "linger_us"
    case connectionsMax = "connections_max"
    case waitingMax = "waiting_max"
    case checkpointEvents = "checkpoint_events"
    case idleLineSeconds = "idle_line_seconds"
    case authSeconds = "auth_seconds"
    case spinMicroseconds = "spin_us"
    case readers
    case logLevel = "log_level"
    case logFormat = "log_format"

    var flag: String { "--" + rawValue.replacingOccurrences(of: "_", with: "-") }
    var variable: String { "TOLLGATE_" + rawValue.uppercased() }
    fileprivate var key: ConfigKey { ConfigKey(["tollgate", rawValue]) }
}

/// All settings of one run: flags before the environment before the config file.
///
/// swift-configuration does the layering. Every layer holds texts, so that a bad value is judged in
/// one place and the message can say where it stands.
struct Settings {
    static let dataDefault = "./.tollgate"

    private struct Layer {
        /// How a person knows it: a flag, a variable, a file's name.
        var place: (Setting) -> String
        var status: ExitStatus
        var isFile = false
        var reader: ConfigReader

        func text(_ setting: Setting) -> String? { reader.string(forKey: setting.key) }
    }
    private let layers: [Layer]
    private let merged: ConfigReader

    /// - Parameter mayReadDefaultFile: whether `<data>/tollgate.json` must be readable once it is
    ///   there. The daemon owns it; a client may be somebody else, and then goes without.
    init(
        flags: [Setting: String?], configFile: String?, mayReadDefaultFile: Bool = true
    ) throws(CommandFailure) {
        let environment = ProcessInfo.processInfo.environment.filter {
            $0.key.hasPrefix("TOLLGATE_") && !$0.value.isEmpty
        }
        let flagValues = InMemoryProvider(
            name: "flags",
            values: Dictionary(
                uniqueKeysWithValues: flags.compactMap { setting, text in
                    text.map {
                        (AbsoluteConfigKey(setting.key), ConfigValue(.string($0), isSecret: false))
                    }
                }))
        let variables = EnvironmentVariablesProvider(environmentVariables: environment)
        let outer = ConfigReader(providers: [flagValues, variables])
        let file = try ConfigFile(
            named: configFile ?? environment["TOLLGATE_CONFIG"],
            in: outer.string(forKey: Setting.data.key) ?? Settings.dataDefault,
            mustBeReadable: mayReadDefaultFile)
        layers = [
            Layer(place: \.flag, status: .usage, reader: ConfigReader(provider: flagValues)),
            Layer(place: \.variable, status: .config, reader: ConfigReader(provider: variables)),
            Layer(
                place: { "\"\($0.rawValue)\" in \(file.path)" }, status: .config,
                isFile: true, reader: ConfigReader(provider: file.values)),
        ]
        merged = ConfigReader(providers: [flagValues, variables, file.values])
    }

    func text(_ setting: Setting) -> String? { merged.string(forKey: setting.key) }

    func whole(_ setting: Setting, _ range: ClosedRange<Int>) throws(CommandFailure) -> Int? {
        guard let text = text(setting) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw bad(
                setting, "say a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }
    /// The failure for a value that makes no sense: where it stands, and what would.
    func bad(_ setting: Setting, _ fix: String) -> CommandFailure {
        guard let layer = layers.first(where: { $0.text(setting) != nil }) else {
            return CommandFailure(.config, "\(setting.flag) is missing: \(fix)")
        }
        return CommandFailure(
            layer.status, "\(layer.place(setting)) is \"\(layer.text(setting)!)\": \(fix)")
    }

    var dataDirectory: String { text(.data) ?? Settings.dataDefault }

    /// The socket: the first layer that names it, or the data directory it lies in.
    var socketPath: String {
        for layer in layers {
            if let socket = layer.text(.socket) { return socket }
            if let data = layer.text(.data) { return Settings.socket(in: data) }
        }
        return Settings.socket(in: Settings.dataDefault)
    }
    private static func socket(in directory: String) -> String {
        (directory.hasSuffix("/") ? directory : directory + "/") + "tollgate.sock"
    }

    func tcpAddress() throws(CommandFailure) -> (host: String, port: UInt16)? {
        guard let text = text(.tcp) else { return nil }
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...]), port > 0
        else { throw bad(.tcp, "say HOST:PORT, such as 127.0.0.1:7070 or [::1]:7070") }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty else { throw bad(.tcp, "say the host as well: 127.0.0.1:\(port)") }
        return (host, port)
    }

    /// Where a client goes: the first layer that names any place decides.
    func target() throws(CommandFailure) -> Target {
        let credentials = try credentials()
        for layer in layers {
            var places = [Setting.tcp, .socket, .data].filter { layer.text($0) != nil }
            // A file is the daemon's as well: where it listens on TCP, it has its socket, too.
            if layer.isFile, credentials == nil { places.removeAll { $0 == .tcp } }
            if places.isEmpty { continue }
            guard places.contains(.tcp) else { break }
            guard layer.isFile || places.count == 1 else {
                let names = places.map(layer.place).joined(separator: " and ")
                throw CommandFailure(.usage, "\(names) name two places: say one of them")
            }
            guard let (host, port) = try tcpAddress() else { break }
            guard let credentials else {
                throw CommandFailure(
                    .usage, "TCP needs a login: say --user and put the secret into TOLLGATE_SECRET")
            }
            return Target(address: .tcp(host: host, port: port), credentials: credentials)
        }
        return Target(address: .unix(path: socketPath), credentials: credentials)
    }
    private func credentials() throws(CommandFailure) -> Target.Credentials? {
        guard let name = text(.user) else { return nil }
        guard let secret = ProcessInfo.processInfo.environment["TOLLGATE_SECRET"], !secret.isEmpty
        else {
            throw CommandFailure(
                .usage, "--user \(name) needs its secret in the environment: TOLLGATE_SECRET")
        }
        return Target.Credentials(name: name, secret: secret)
    }
}

/// The config file: one JSON object of settings.
private struct ConfigFile {
    var path: String
    var values: InMemoryProvider

    init(named: String?, in data: String, mustBeReadable: Bool) throws(CommandFailure) {
        let path = named ?? (data.hasSuffix("/") ? data : data + "/") + "tollgate.json"
        self.path = path
        guard let bytes = FileManager.default.contents(atPath: path) else {
            if named != nil || mustBeReadable && FileManager.default.fileExists(atPath: path) {
                throw CommandFailure(
                    .config, "the config file \(path) cannot be read: name another with --config")
            }
            values = InMemoryProvider(name: "file", values: [:])
            return
        }
        var found: [AbsoluteConfigKey: ConfigValue] = [:]
        for member in try Self.members(bytes, path) {
            guard let setting = Setting(rawValue: member.name) else {
                let known = Setting.allCases.map(\.rawValue).joined(separator: ", ")
                throw CommandFailure(
                    .config,
                    "\(path) has no setting \"\(member.name)\": remove it; there are \(known)")
            }
            guard named != nil || setting != .data else {
                throw CommandFailure(
                    .config,
                    "\(path) was found through the data directory, so \"data\" in it means "
                        + "nothing: remove it, or say --data")
            }
            guard let text = Self.text(member.value) else {
                throw CommandFailure(
                    .config,
                    "\"\(member.name)\" in \(path) must be a text, a number, true or false")
            }
            found[AbsoluteConfigKey(setting.key)] = ConfigValue(.string(text), isSecret: false)
        }
        values = InMemoryProvider(name: "file", values: found)
    }
    private static func members(
        _ bytes: Data, _ path: String
    ) throws(CommandFailure) -> [JSON.Member] {
        do throws(JSONError) {
            let text = String(decoding: bytes, as: UTF8.self)
            let json = try text.withBytes { (b) throws(JSONError) in try JSON(parsing: b) }
            if let members = json.members { return members }
        } catch {
            throw CommandFailure(.config, "\(path) is \(error.explanation): correct it")
        }
        throw CommandFailure(.config, "\(path) must hold one JSON object of settings")
    }
    private static func text(_ value: JSON) -> String? {
        switch value {
        case .string(let text) where !text.isEmpty: text
        case .number(let text): text
        case .bool(let value): value ? "true" : "false"
        default: nil
        }
    }
}
