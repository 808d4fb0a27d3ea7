#if canImport(Glibc)
import Glibc
#endif

/// How much to try: little in every run, much when somebody asks for it.
enum TestScale {
    /// `TOLLGATE_LONG=1`, as `deploy/test --long` sets it.
    static let isLong = getenv("TOLLGATE_LONG").map { String(cString: $0) == "1" } ?? false
}
