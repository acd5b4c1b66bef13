"""The project of others is no test of ours: test_plugin.py copies it elsewhere and runs it there."""

collect_ignore = ["project"]
