import ArgumentParser

/// `tollgate audit`
struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Export, replay and prove the log.",
        discussion: """
            Every one of these reads a running daemon's log through its socket, or with --dir
            that of a data directory, a backup or a copy of one, with or without a daemon.

            Examples:
              tollgate audit export --period 2026-11 --team acme/ml --output november.csv
              tollgate audit export --format jsonl --dir /var/lib/tollgate | jq .cost_usd
              tollgate audit replay
            """,
        subcommands: [AuditExport.self, AuditReplay.self, AuditErase.self])
}
