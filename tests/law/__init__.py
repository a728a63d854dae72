"""What the RFCs and the vendors' pages say, as playbooks of the machine and as rows."""
