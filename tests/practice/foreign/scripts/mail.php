<?php
// PHPMailer: sends with XOAUTH2, and is refused with a wrong token.
require '/usr/share/php/libphp-phpmailer/autoload.php';

use PHPMailer\PHPMailer\OAuthTokenProvider;
use PHPMailer\PHPMailer\PHPMailer;

class Token implements OAuthTokenProvider
{
    public function __construct(private string $user, private string $token) {}

    public function getOauth64()
    {
        return base64_encode("user={$this->user}\001auth=Bearer {$this->token}\001\001");
    }
}

[, $user, $token, $port, $ca, $to] = $argv;
foreach ([$token, 'nonsense'] as $given) {
    $mail = new PHPMailer();
    $mail->isSMTP();
    [$mail->Host, $mail->Port, $mail->SMTPSecure] = ['localhost', $port, 'tls'];
    [$mail->SMTPAuth, $mail->AuthType] = [true, 'XOAUTH2'];
    $mail->SMTPOptions = ['ssl' => ['cafile' => $ca]];
    $mail->setOAuth(new Token($user, $given));
    $mail->CharSet = 'UTF-8';
    $mail->setFrom($user, 'Anna Lindqvist');
    $mail->addAddress($to);
    $mail->Subject = 'Klage Müller von PHP';
    $mail->Body = "Grüße\n.\n";
    echo $mail->send() ? "sent\n" : "refused {$mail->getSMTPInstance()->getError()['detail']} {$mail->ErrorInfo}\n";
}
