# bash completion of skyferry(1).  Commands and options are read from its --help, accounts and paths from
# `skyferry ls`: nothing here has to be kept in step.
# shellcheck shell=bash

# The commands, a line each: "account add".
_skyferry_commands()
{
	command skyferry --help 2>/dev/null |
	    sed -n '/^Commands:/,/^$/s/^  \([a-z]*\( [a-z-]*\)\{0,1\}\)  *.*$/\1/p' | sed 's/ *$//'
}

# The options of a command (none: the global ones).
_skyferry_options()
{
	# shellcheck disable=SC2086 # a command is one word or two
	command skyferry $1 --help 2>/dev/null |
	    sed -n '/^Options:/,$p' | grep -oE '(^  |, )--?[A-Za-z-]+' | grep -oE -- '--?[A-Za-z-]+'
}

# ACCOUNT: and ACCOUNT:DIRECTORY/NAME.  A colon ends a word for readline: what stands before the last
# one is cut off again.
_skyferry_remote()
{
	local word=$1 cut=$2 dir entry
	local -a entries=()
	compopt -o nospace
	if [[ $word != *:* ]]; then
		mapfile -t entries < <(command skyferry ls 2>/dev/null)
		dir=
	else
		dir=${word%%:*}:
		[[ $word == */* ]] && dir=${word%/*}/
		mapfile -t entries < <(command skyferry ls "$dir" 2>/dev/null)
	fi
	for entry in "${entries[@]}"; do
		entry=$dir$entry
		[[ $entry == "$word"* ]] || continue
		printf -v entry '%q' "${entry:cut}"
		# %q quotes the colon of an account, which readline does not want
		COMPREPLY+=("${entry/\\:/:}")
	done
}

_skyferry_words()
{
	local candidate
	while read -r candidate; do
		[[ -n $candidate && $candidate == "$1"* ]] && COMPREPLY+=("$candidate")
	done
}

_skyferry_accounts()
{
	_skyferry_words "$1" < <(command skyferry ls 2>/dev/null | sed 's/:$//')
}

_skyferry()
{
	local line=${COMP_LINE:0:COMP_POINT} current previous name='' first='' last i
	local -a words=() commands=()
	COMPREPLY=()

	# Words as the shell will see them, not cut at colons.
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == : || ${COMP_WORDS[i - 1]} == : ]] && ((${#words[@]} > 0)); then
			words[-1]+=${COMP_WORDS[i]}
		else
			words+=("${COMP_WORDS[i]}")
		fi
	done
	# shellcheck disable=SC1003 # a backslash
	current=${line##*[^\\][[:space:]]}
	current=${current//\\/}
	previous=${COMP_WORDS[COMP_CWORD - 1]}

	mapfile -t commands < <(_skyferry_commands)
	for ((i = 0; i < ${#words[@]}; i++)); do
		case ${words[i]} in
		--config | --set) ((i++)) ;;
		-*) ;;
		*)
			if [[ -z $first ]]; then
				first=${words[i]}
				for last in "${commands[@]}"; do [[ $last == "$first" ]] && name=$first; done
			elif [[ -z $name ]]; then
				name="$first ${words[i]}"
			fi
			;;
		esac
	done
	case $name in
	changes) name=transfers ;;
	umount) name=unmount ;;
	esac

	case $previous in
	--config | --secrets | --password-file)
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
		;;
	--status | -s)
		_skyferry_words "$current" < <(printf '%s\n' pending queued running completed failed cancelled)
		return
		;;
	--parent)
		_skyferry_words "$current" < <(command skyferry transfers 2>/dev/null | cut -d' ' -f1)
		return
		;;
	esac
	if [[ $current == -* ]]; then
		_skyferry_words "$current" < <(_skyferry_options "$name")
		return
	fi
	if [[ -z $first ]]; then
		_skyferry_words "$current" < <(printf '%s\n' "${commands[@]%% *}" | sort -u)
		return
	fi
	if [[ -z $name ]]; then
		_skyferry_words "$current" < <(printf '%s\n' "${commands[@]}" | sed -n "s/^$first //p")
		return
	fi
	case $name in
	cp | mv | rm | mkdir | ls | stat)
		# Bytes of the word that readline holds for another one: up to the last colon.
		i=0
		[[ $COMP_WORDBREAKS == *:* && $current == *:* ]] && i=${current%:*} && i=$((${#i} + 1))
		_skyferry_remote "$current" "$i"
		;;
	'account add')
		_skyferry_words "$current" < <(command skyferry provider list 2>/dev/null | sed -n 's/^\([a-z0-9]*\): .*/\1/p')
		;;
	account\ *) _skyferry_accounts "$current" ;;
	transfer\ *)
		_skyferry_words "$current" < <(command skyferry transfers 2>/dev/null | cut -d' ' -f1)
		;;
	mount | unmount)
		compopt -o dirnames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$current")
		;;
	esac
}

complete -F _skyferry skyferry
