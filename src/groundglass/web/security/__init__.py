"""What keeps strangers out: headers, tokens against forged requests, a limit on trying."""
