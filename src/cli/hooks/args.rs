//! The flags of hooks, as typed.

/// The flags of hooks.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Hooks")]
pub struct HookArgs {
    /// Run this command when every byte is here, verified, durable and under its final name, after the hooks of all files.
    #[arg(long, value_name = "CMD", help = COMPLETE_HELP)]
    pub execute_on_complete: Option<String>,
    /// Run this command for each file that is not empty, as soon as it is verified, durable and under its final name.
    #[arg(long, value_name = "CMD", help = FILE_HELP)]
    pub execute_on_each_file_complete: Option<String>,
    /// Commands of hooks are lines for a shell (bash, else sh). Values come to it as variables such as $STREW_FILE_PATH, and a %{...} in
    /// the line stands for the quoted variable.
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, hide_possible_values = true, value_parser = crate::cli::spelling::GoBool)]
    pub exec_shell: bool,
    /// Hooks of files that run at a time, 1 to 256 [default: the number of processors].
    #[arg(long, value_name = "N")]
    pub exec_jobs: Option<String>,
    /// When a hook fails, end with code 9 or only say so [default: fail].
    #[arg(long, value_name = "POLICY")]
    pub exec_failure: Option<FailureWord>,
    /// Kill a hook and all that it started after this long; 0 waits for ever [default: 10s].
    #[arg(long, value_name = "TIME")]
    pub command_timeout: Option<String>,
}

// Apart from the fields, whose documentation would take the braces for something else.
const COMPLETE_HELP: &str = "Run this command when every byte is here, verified, durable and under its final name, after the hooks of all files \
     have ended. It is a program with arguments (docs/hooks.md); %{elapsed_time} %{file_count} %{total_file_size} \
     %{content_id} %{root} in it are values";
const FILE_HELP: &str = "Run this command for each file that is not empty, as soon as it is verified, durable and under its final name; \
                         files that were here before come at the end. Values: %{file_path} %{file_size} %{file_kept}";

/// What a failed hook means, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "lower")]
pub enum FailureWord {
    /// The run ends with code 9.
    Fail,
    /// It is said, and the exit code is that of the transfer.
    Warn,
}
