#if canImport(Glibc)
internal import Glibc
#endif

/// Larger files that stand beside the checkout on some machines (`../shared/data`, or
/// `TOLLGATE_SHARED_DATA`); a test that uses one is skipped where it is not.
package enum SharedData {
    package static func path(_ name: String) -> String {
        if let folder = getenv("TOLLGATE_SHARED_DATA") {
            return String(cString: folder) + "/" + name
        }
        // …/Tests/TestSupport/SharedData.swift
        let parts = #filePath.split(separator: "/").dropLast(3)
        return "/" + parts.dropLast().joined(separator: "/") + "/shared/data/" + name
    }
}
