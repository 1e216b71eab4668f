# SPDX-License-Identifier: BSD-2-Clause
# bash completion of chimney(1): commands, options and words are asked of the program itself.
_chimney()
{
	local cur=${COMP_WORDS[COMP_CWORD]} cmd=${COMP_WORDS[1]} self=${COMP_WORDS[0]} words
	if ((COMP_CWORD == 1)); then
		words=$("$self" --help | awk '/^  [a-z]/ { print $1 }')
	elif [[ $cur == -* ]]; then
		words=$("$self" "$cmd" --help 2>/dev/null | grep -o -- '--[a-z][a-z-]*' | sort -u)
	else
		case $cmd in
		show) words="connections stats adapters history global rules" ;;
		set) words="global chimney=automatic chimney=enabled chimney=disabled chimney=manual" ;;
		add | delete) words="port application" ;;
		offload | upload | tree | query)
			words=$("$self" list 2>/dev/null | awk 'NR > 1 { print $1 }') ;;
		attach | detach) words=$(cd /proc && echo [0-9]*) ;;
		*) COMPREPLY=($(compgen -f -- "$cur")); return ;;
		esac
	fi
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _chimney chimney
