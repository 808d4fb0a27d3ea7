import Events
import Foundation
import Glibc

/// A PostgreSQL of the bench's own: a fresh cluster behind a Unix socket, gone afterwards.
final class BenchPostgres {
    private let programs: Programs
    private let process: BenchProcess
    private let directory: String
    private let context: BenchContext

    static let notInstalled = "PostgreSQL's server and pgbench are not installed"
    private static let startSecondsMax: Int64 = 30
    /// Users to run it as when we are root, which it refuses.
    private static let servants = ["postgres", "nobody"]

    /// Nil when it is not installed.
    init?(_ context: BenchContext) throws(CommandFailure) {
        guard let programs = Programs() else { return nil }
        guard let user = Self.user() else { return nil }
        self.programs = programs
        self.context = context
        directory = try context.makeDirectory(for: user)
        let data = directory + "/data"
        let start = geteuid() == 0 ? ["as", user.name] : ["run"]
        try BenchProcess(
            start + [
                programs.initdb, "--pgdata", data, "--username", "bench", "--auth", "trust",
                "--encoding", "UTF8", "--locale", "C", "--no-sync",
            ], output: context.path("initdb.log")
        ).finish(context)
        process = try BenchProcess(
            start + [programs.postgres, "-D", data, "-k", directory]
                + Self.settings.flatMap { ["-c", $0] }, output: context.path("postgres.log"))
        try waitUntilReady()
        try run(sql: Self.schema)
    }
    // Orderly, so that its shared memory is given back.
    deinit { process.end(SIGINT) }

    /// As shipped, but for what would only disturb: no TCP, no checkpoint and no just-in-time
    /// compiler in the middle of a round. Every commit is synced unless a client asks otherwise.
    private static let settings = [
        "listen_addresses=", "max_connections=40", "shared_buffers=256MB", "max_wal_size=8GB",
        "checkpoint_timeout=1h", "jit=off",
    ]

    private static func user() -> BenchUser? {
        guard geteuid() == 0 else { return .current }
        return servants.lazy.compactMap { BenchUser(named: $0) }.first
    }
    private func waitUntilReady() throws(CommandFailure) {
        let deadline = monotonicNanoseconds() + Self.startSecondsMax * 1_000_000_000
        while true {
            do throws(CommandFailure) {
                return try run(sql: "SELECT 1")
            } catch {
                try context.checkInterrupt()
                guard process.isRunning, monotonicNanoseconds() < deadline else {
                    throw CommandFailure(
                        .unavailable,
                        "PostgreSQL does not start: "
                            + BenchProcess.File.text(context.path("postgres.log.err")))
                }
            }
            usleep(20_000)
        }
    }
    private func run(sql: String) throws(CommandFailure) {
        let script = context.path("setup.sql")
        try BenchProcess.File.write(sql, to: script)
        try BenchProcess(
            [
                "run", programs.psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", directory,
                "-U", "bench", "-d", "postgres", "-f", script,
            ], output: context.path("psql.log")
        ).finish(context)
    }
    /// Forgets all holds and writes everything out, so that each round finds the same tables.
    func reset() throws(CommandFailure) {
        try run(
            sql: """
                TRUNCATE holds;
                UPDATE accounts SET day_used = 0, month_used = 0, minute_used = 0, open = 0;
                VACUUM accounts;
                CHECKPOINT;
                """)
    }

    // MARK: The measurement

    /// What pgbench saw.
    struct Seen {
        var perSecond: Double
        /// The median, in nanoseconds.
        var median: Double
    }
    /// Places holds for a while: one function call is one transaction.
    func reserve(clients: Int, isDurable: Bool, seconds: Int) throws(CommandFailure) -> Seen {
        let script = context.path("reserve.sql")
        try BenchProcess.File.write(Self.transaction, to: script)
        let output = context.path("pgbench.log")
        let log = context.path("pgbench-transactions")
        let process = try BenchProcess(
            [
                "run", "env", "PGOPTIONS=-c synchronous_commit=\(isDurable ? "on" : "off")",
                programs.pgbench, "-h", directory, "-U", "bench", "-n", "-M", "prepared",
                "-c", "\(clients)", "-j", "\(min(clients, 2))", "-f", script, "-l",
                "--log-prefix=\(log)",
            ] + (context.isSmoke ? ["-t", "20"] : ["-T", "\(seconds)"]) + ["postgres"],
            output: output)
        try process.finish(context)
        let text = BenchProcess.File.text(output)
        let rate = text.split(separator: "\n").first { $0.hasPrefix("tps = ") }?
            .dropFirst(6).prefix { $0 != " " }
        guard let rate, let perSecond = Double(rate) else {
            throw CommandFailure(.protocolBroken, "pgbench says no rate: \(text)")
        }
        return Seen(perSecond: perSecond, median: try median(log))
    }
    /// Of the third column of pgbench's logs, microseconds a transaction; removes the logs.
    private func median(_ prefix: String) throws(CommandFailure) -> Double {
        var times: [Double] = []
        let name = prefix.split(separator: "/").last.map(String.init) ?? ""
        for file in (try? FileManager.default.contentsOfDirectory(atPath: context.directory)) ?? []
        where file.hasPrefix(name) {
            let text = (try? String(contentsOfFile: context.path(file), encoding: .utf8)) ?? ""
            for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
                let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 3)
                if fields.count > 2, let time = Double(Substring(fields[2])) {
                    times.append(time * 1_000)
                }
            }
            context.removeDirectory(context.path(file))
        }
        guard !times.isEmpty else {
            throw CommandFailure(.protocolBroken, "pgbench wrote no transactions down")
        }
        return Spread(times).median
    }

    /// Where the programs are: Debian keeps the server's out of PATH.
    private struct Programs {
        let initdb: String
        let postgres: String
        let psql: String
        let pgbench: String

        init?() {
            let root = "/usr/lib/postgresql"
            let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
            let places =
                versions.sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }.map { "\(root)/\($0)/bin" }
                + BenchPeers.searchPath
            func find(_ program: String) -> String? {
                places.map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
            }
            guard let initdb = find("initdb"), let postgres = find("postgres"),
                let psql = find("psql"), let pgbench = find("pgbench")
            else { return nil }
            self.initdb = initdb
            self.postgres = postgres
            self.psql = psql
            self.pgbench = pgbench
        }
    }
}

// MARK: - The ledger in SQL

extension BenchPostgres {
    /// The same three-tier check in one function, as well as we can write one.
    ///
    /// It does less than RESERVE: windows without time zones, a fixed minute instead of a sliding
    /// one, one price, no models, a number for an id, and its log is the table of holds. The rows of
    /// key, team and org are locked in one order, so that two calls never wait for each other; pages
    /// are left half empty, so that a row is updated where it stands.
    private static let schema = """
        CREATE TABLE accounts (
            path text PRIMARY KEY,
            day_limit bigint NOT NULL, month_limit bigint NOT NULL,
            minute_limit bigint NOT NULL, open_limit bigint NOT NULL,
            day date NOT NULL DEFAULT current_date, day_used bigint NOT NULL DEFAULT 0,
            month date NOT NULL DEFAULT current_date, month_used bigint NOT NULL DEFAULT 0,
            minute bigint NOT NULL DEFAULT 0, minute_used bigint NOT NULL DEFAULT 0,
            open bigint NOT NULL DEFAULT 0
        ) WITH (fillfactor = 50);
        CREATE TABLE holds (
            id bigint PRIMARY KEY, key text NOT NULL, team text NOT NULL, org text NOT NULL,
            usd bigint NOT NULL, until timestamptz NOT NULL
        );
        INSERT INTO accounts (path, day_limit, month_limit, minute_limit, open_limit)
        SELECT path, 9000000000000000, 9000000000000000, 1000000000000, 1000000000000
        FROM unnest(ARRAY['bench', 'bench/ml', 'bench/ml/prod']) AS path;

        CREATE FUNCTION reserve(
            a_key text, a_team text, a_org text, an_id bigint, asked bigint
        ) RETURNS text LANGUAGE plpgsql AS $$
        DECLARE
            a accounts;
            today date := current_date;
            this_month date := date_trunc('month', current_date);
            this_minute bigint := extract(epoch FROM now())::bigint / 60;
        BEGIN
            IF EXISTS (SELECT FROM holds WHERE id = an_id) THEN RETURN 'ALLOW'; END IF;
            FOR a IN
                SELECT * FROM accounts WHERE path IN (a_key, a_team, a_org)
                ORDER BY path FOR UPDATE
            LOOP
                IF a.day <> today THEN a.day_used := 0; END IF;
                IF a.month <> this_month THEN a.month_used := 0; END IF;
                IF a.minute <> this_minute THEN a.minute_used := 0; END IF;
                IF a.day_used + asked > a.day_limit THEN
                    RETURN 'DENY usd.day ' || a.path;
                ELSIF a.month_used + asked > a.month_limit THEN
                    RETURN 'DENY usd.month ' || a.path;
                ELSIF a.minute_used + 1 > a.minute_limit THEN
                    RETURN 'DENY requests.minute ' || a.path;
                ELSIF a.open + 1 > a.open_limit THEN
                    RETURN 'DENY concurrency ' || a.path;
                END IF;
            END LOOP;
            UPDATE accounts SET
                day = today,
                day_used = asked + CASE WHEN day = today THEN day_used ELSE 0 END,
                month = this_month,
                month_used = asked + CASE WHEN month = this_month THEN month_used ELSE 0 END,
                minute = this_minute,
                minute_used = 1 + CASE WHEN minute = this_minute THEN minute_used ELSE 0 END,
                open = open + 1
            WHERE path IN (a_key, a_team, a_org);
            INSERT INTO holds VALUES
                (an_id, a_key, a_team, a_org, asked, now() + interval '10 minutes');
            RETURN 'ALLOW';
        END $$;

        """
    private static let transaction = """
        \\set id random(1, 9000000000000000000)
        SELECT reserve('bench/ml/prod', 'bench/ml', 'bench', :id, 19200000);

        """
}
