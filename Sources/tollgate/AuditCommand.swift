import ArgumentParser

/// `tollgate audit`
struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Export, replay and prove the log, ask what if; erase what it says of a person.",
        discussion: """
            What reads the log reads a running daemon's through its socket, or with --dir that
            of a data directory or a copy of one, with or without a daemon.

            Examples:
              tollgate audit export --period 2026-11 --team acme/ml --out november.csv
              tollgate audit replay
              tollgate audit replay --dir /var/lib/tollgate
              tollgate audit whatif --policy changed.yaml --period 2026-11
              tollgate audit checkpoint --out saved.checkpoint
              tollgate audit verify --checkpoint saved.checkpoint
              tollgate audit tiles /var/www/tollgate-log
            """,
        subcommands: [
            AuditExport.self, AuditReplay.self, AuditWhatIf.self, AuditCheckpoint.self,
            AuditProve.self, AuditConsistency.self, AuditVerify.self, AuditTiles.self,
            AuditCosign.self, AuditErase.self,
        ])
}
