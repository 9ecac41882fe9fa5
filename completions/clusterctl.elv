
set edit:completion:arg-completer[clusterctl] = { |@words|
    var index = (count $words)
    set index = (- $index 1)

    put (env _CLAP_IFS="\n" _CLAP_COMPLETE_INDEX=(to-string $index) CLUSTERCTL_COMPLETE="elvish" clusterctl -- $@words) | to-lines
}

