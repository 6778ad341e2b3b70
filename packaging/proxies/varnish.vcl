# Varnish in front of gostech-metrics: basic authentication, and one poll for many who ask within a second, before its Unix
# socket. Varnish speaks no TLS: stunnel.conf or hitch stands before it.
#   varnishd -a 127.0.0.1:4480 -f /etc/varnish/gostech-metrics.vcl
# The user of Varnish is in the group of the socket: usermod -aG gostech-metrics vcache
vcl 4.1;

backend gostech_metrics {
    .path = "/run/gostech-metrics-i1.sock";
    .first_byte_timeout = 15s;
}

sub vcl_recv {
    # printf 'prometheus:PASSWORD' | base64
    if (req.http.Authorization != "Basic BASE64-OF-NAME-AND-PASSWORD") {
        return (synth(401));
    }
    unset req.http.Authorization;
    if (req.url !~ "^/metrics($|\?)") {
        return (synth(404));
    }
    return (hash);
}

sub vcl_backend_response {
    # Numbers of one second are those of this second; nothing older is ever served.
    set beresp.ttl = 1s;
    set beresp.grace = 0s;
    unset beresp.http.Cache-Control;
}

sub vcl_synth {
    if (resp.status == 401) {
        set resp.http.WWW-Authenticate = "Basic realm=metrics";
    }
}
