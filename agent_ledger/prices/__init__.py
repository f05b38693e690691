"""Price sources: who says what a model costs. One file each; see `hookspecs.PriceSource` for the contract."""
