
set edit:completion:arg-completer[maint] = { |@words|
    var index = (count $words)
    set index = (- $index 1)

    put (env _CLAP_IFS="\n" _CLAP_COMPLETE_INDEX=(to-string $index) MAINT_COMPLETE="elvish" maint -- $@words) | to-lines
}

