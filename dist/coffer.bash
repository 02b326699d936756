# bash completion: the program answers itself.
complete -o nospace -C coffer coffer
complete -o nospace -C vault vault
