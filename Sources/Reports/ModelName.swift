/// What a model's name says.
enum ModelName {
    /// What stands before the first `/`.
    static func provider(of model: String) -> String { String(model.prefix { $0 != "/" }) }
}
