"""What is deployed, as it is rendered: manifests and compose file, against the schemas and our own rules."""
