complete --keep-order --exclusive --command maint --arguments "(MAINT_COMPLETE=fish maint -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
