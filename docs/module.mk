dist_doc_DATA += docs/api.md docs/architecture.md docs/clouds.md docs/semantics.md
