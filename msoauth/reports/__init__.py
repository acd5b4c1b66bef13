"""What goes into people's hands: requests to the firm's IT, support bundles, records, tables and files."""
