"""The scripts with which shells complete commands, and the answer to a script. `options` completes the arguments."""

from __future__ import annotations

import os
import sys

import click

# bash splits words at @ and =, and replaces only the part after the last of them. So the script splits the line itself,
# and leaves out the part of each answer that bash keeps.
_BASH = r"""
_gitmodel_complete() {
    local line=${COMP_LINE:0:COMP_POINT} current cut reply value IFS=$' \t\n'
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    if [[ ${words[0]##*/} == git ]]; then
        while (( ${#words[@]} > 1 )) && [[ ${words[1]} != model ]]; do words=(git "${words[@]:2}"); done
        words=("${words[@]:1}")
    fi
    current=${words[${#words[@]}-1]}
    cut=
    [[ $current == *[@=]* ]] && cut=${current%"${current##*[@=]}"}
    COMPREPLY=()
    while IFS= read -r reply; do
        value=${reply#*,}
        case ${reply%%,*} in
            plain)
                [[ -n $cut && $value == "$cut"* ]] && value=${value#"$cut"}
                COMPREPLY+=("$value") ;;
            dir) compopt -o dirnames 2> /dev/null ;;
            file) compopt -o default 2> /dev/null ;;
        esac
    done < <(
        IFS=$'\n'
        COMP_WORDS="git-model"$'\n'"${words[*]:1}" COMP_CWORD=$(( ${#words[@]} - 1 )) \
            _GITMODEL_COMPLETE=bash_complete git-model 2> /dev/null
    )
}
_git_model() { _gitmodel_complete; }
complete -o nosort -F _gitmodel_complete git-model gitmodel 2> /dev/null ||
    complete -F _gitmodel_complete git-model gitmodel
"""
_ZSH = r"""
#compdef git-model gitmodel
_git-model() {
    local -a response described plain
    local type key descr
    local -a line=("${words[@]}")
    [[ ${line[1]:t} == git ]] && shift line
    response=("${(@f)$(COMP_WORDS="git-model
${(F)line[2,-1]}" COMP_CWORD=$(( CURRENT - 1 )) _GITMODEL_COMPLETE=zsh_complete git-model 2> /dev/null)}")
    for type key descr in ${response}; do
        case $type in
            plain) if [[ $descr == _ ]]; then plain+=("$key"); else described+=("${key//:/\\:}:$descr"); fi ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
        esac
    done
    (( $#described )) && _describe -V gitmodel described -U
    (( $#plain )) && compadd -U -V gitmodel -a plain
}
compdef _git-model git-model gitmodel
zstyle -g _gitmodel_commands ':completion:*:*:git:*' user-commands
zstyle ':completion:*:*:git:*' user-commands $_gitmodel_commands model:'a model registry that lives in git'
unset _gitmodel_commands
"""
_FISH = r"""
function __gitmodel_complete
    set -l line (commandline -opc)
    if test (path basename -- $line[1]) = git
        set -l at (contains -i -- model $line); or return
        set line $line[$at..-1]
    end
    set -l answers (env COMP_WORDS=(string join \n -- git-model $line[2..-1] | string collect) \
        COMP_CWORD=(commandline -ct) _GITMODEL_COMPLETE=fish_complete git-model 2> /dev/null)
    for answer in $answers
        set -l parts (string split -m 1 , -- $answer)
        switch $parts[1]
            case dir
                __fish_complete_directories (commandline -ct)
            case file
                __fish_complete_path (commandline -ct)
            case plain
                echo $parts[2]
        end
    end
end
complete -c git-model -f -a '(__gitmodel_complete)'
complete -c gitmodel -f -a '(__gitmodel_complete)'
complete -c git -f -n '__fish_seen_subcommand_from model' -a '(__gitmodel_complete)'
"""
SCRIPTS = {"bash": _BASH.lstrip(), "zsh": _ZSH.lstrip(), "fish": _FISH.lstrip()}


def complete(program: click.Command) -> int:
    """Print the answer to a completion script, whose request is in environment variables. Return the exit code."""
    from click.shell_completion import shell_complete

    from gitmodel.cli.invocation import Invocation

    invocation = Invocation()
    try:
        return shell_complete(
            program, {"obj": invocation}, "git-model", "_GITMODEL_COMPLETE", os.environ["_GITMODEL_COMPLETE"]
        )
    except Exception:
        return 1  # without a traceback, which would disturb the line that the user is typing
    finally:
        invocation.close()
        sys.stdout.flush()
