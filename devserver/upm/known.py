"""Plugins that tell what a host is: their keys, as UPM lists them."""

UPM = "com.atlassian.upm.atlassian-universal-plugin-manager-plugin"
CONNECT = frozenset(
    {
        "com.atlassian.plugins.atlassian-connect-plugin",
        "com.atlassian.labs.remoteapps-plugin",
    }
)
"""The Connect host of either era."""
QUICK_RELOAD = "com.atlassian.labs.plugins.quickreload.reloader"
"""Puts each build of a watched project into the product by itself."""
RELOADS = "after each build it puts that build in the place of what upm-dev installed"
RELOADS_REMEDY = "upm-dev then installs its own again; or disable one of the two"
